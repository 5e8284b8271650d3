//! The configuration's keys for people: each with its default and what its field's documentation says.

use std::collections::BTreeMap;

/// Columns of the text.
const WIDTH: usize = 110;

/// The sources whose fields are keys: section, text, and the line behind which they stand. One text explains a key to those
/// who read the code and to those who ask for help.
const SOURCES: [(&str, &str, &str); 8] = [
    ("", include_str!("../config.rs"), "pub struct Config {"),
    ("data", include_str!("data.rs"), "pub struct DataConfig {"),
    ("model", include_str!("../../model/spec.rs"), "pub struct NetOptions {"),
    ("head", include_str!("../../head/options.rs"), "pub struct HeadConfig {"),
    ("head", include_str!("../../head/options.rs"), "options! {"),
    ("augment", include_str!("../../data/augment.rs"), "pub struct AugmentSettings {"),
    ("normalisation", include_str!("../../data/batch.rs"), "pub struct Normalisation {"),
    ("train", include_str!("optimisation.rs"), "pub struct TrainConfig {"),
];

/// `toml`, a configuration with every key, with what each key means above it.
pub(super) fn explained(toml: &str) -> String {
    let texts = texts();
    let mut section = String::new();
    let mut out = String::new();
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            explain(&mut out, texts.get(name));
        } else if let Some((key, _)) = line.split_once(" = ") {
            explain(&mut out, texts.get(&format!("{section}.{key}")));
        }
        out += line;
        out += "\n";
    }
    out
}

/// The sections that have a key called `key`.
pub(super) fn sections_of(key: &str) -> Vec<String> {
    let in_section = |name: String| Some(name.strip_suffix(key)?.strip_suffix('.')?.to_owned());
    texts().into_keys().filter_map(in_section).collect()
}

/// What the documentation says of each key, by its dotted name, and of each section.
fn texts() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (section, source, start) in SOURCES {
        let inside = source.lines().skip_while(|line| line.trim() != start).skip(1);
        let mut text = String::new();
        for line in inside.take_while(|line| line.trim() != "}") {
            let line = line.trim();
            if let Some(more) = line.strip_prefix("/// ") {
                text += if text.is_empty() { "" } else { " " };
                text += more;
            } else if let Some((key, _)) = line.strip_prefix("pub ").unwrap_or(line).split_once(':')
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
                out.insert(name, without_references(&std::mem::take(&mut text)));
            }
        }
    }
    out
}

/// Without what only readers of the code can look up: `(quirk Q1)` and `(spec section 5)`.
fn without_references(text: &str) -> String {
    let mut out = text.to_owned();
    for start in [" (quirk ", " (spec "] {
        while let Some(at) = out.find(start)
            && let Some(length) = out[at..].find(')')
        {
            out.replace_range(at..=at + length, "");
        }
    }
    out
}

fn explain(out: &mut String, text: Option<&String>) {
    let mut column = 0;
    for word in text.map_or("", String::as_str).split_whitespace() {
        let length = word.chars().count();
        if column == 0 || column + 1 + length > WIDTH {
            *out += if column == 0 { "#" } else { "\n#" };
            column = 1;
        }
        *out += " ";
        *out += word;
        column += 1 + length;
    }
    if text.is_some() {
        *out += "\n";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Config;

    #[test]
    fn every_key_is_explained() {
        let keys = Config::keys();
        let lines: Vec<&str> = keys.lines().collect();
        assert!(lines[0].starts_with("# "), "{}", lines[0]);
        for pair in lines.windows(2) {
            let is_key = !pair[1].is_empty() && !pair[1].starts_with('#');
            assert!(!is_key || pair[0].starts_with("# "), "{} has no explanation", pair[1]);
        }
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "a line too long");
        let of_code = ["quirk", "(spec", "# Errors", "[`", "///"];
        assert!(of_code.iter().all(|part| !keys.contains(part)), "what only readers of the code understand");
        assert!(toml::from_str::<toml::Table>(&keys).is_ok_and(|table| table.len() == 6));
    }

    #[test]
    fn a_key_is_found_in_its_sections() {
        assert_eq!(sections_of("prototypes"), ["model"]);
        assert_eq!(sections_of("warmup_steps"), ["head", "train"]);
        assert!(sections_of("nothing").is_empty());
    }
}
