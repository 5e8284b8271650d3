//! What the parser says of a configuration, in the words of who wrote it.

use super::help::sections_of;

/// The parser's message as one sentence, without the names of Rust's types, and with the section that an unknown key belongs to.
pub(super) fn in_words(message: &str) -> String {
    let mut text = message.lines().collect::<Vec<_>>().join(" ");
    for (before, after) in [
        ("unknown field", "unknown key"),
        ("unknown variant", "unknown value"),
        ("expected f32", "expected a number"),
        ("expected f64", "expected a number"),
        ("expected usize", "expected a whole number of 0 or more"),
        ("expected u64", "expected a whole number of 0 or more"),
        ("expected u32", "expected a whole number of 0 or more, below 2^32"),
        ("invalid type: ", "invalid value: "),
        ("floating point ", "number "),
        ("expected a boolean", "expected true or false"),
    ] {
        text = text.replace(before, after);
    }
    let unknown = text.strip_prefix("unknown key `").and_then(|rest| rest.split('`').next());
    let sections = unknown.map_or(Vec::new(), sections_of);
    if sections.is_empty() { text } else { format!("{text} (it is a key of [{}])", sections.join("] and [")) }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_key_in_the_wrong_section_is_sent_to_its_own() {
        let text = in_words("unknown field `prototypes`, expected one of `kind`, `profile`");
        assert_eq!(
            text,
            "unknown key `prototypes`, expected one of `kind`, `profile` (it is a key of [model])"
        );
        assert_eq!(
            in_words("invalid type: string \"yes\",\nexpected f32"),
            "invalid value: string \"yes\", expected a number"
        );
        assert_eq!(in_words("unknown field `x`, expected `y`"), "unknown key `x`, expected `y`");
    }
}
