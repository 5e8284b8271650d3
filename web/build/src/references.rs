//! Where a text of the page names other files of the page: `"./main.js"`, `'protoseg_bg.wasm'`, `url(./street.png)`.
//!
//! No language is parsed. Whatever stands between two quotes, or in `url(...)`, and is a plain file name, with or without `./`, may be
//! a reference; [`site`](crate::site) knows which of these names are files.

use std::ops::Range;

/// A name between quotes or in `url(...)`.
#[derive(Debug, PartialEq)]
pub struct Reference {
    /// Bytes of the name in the text, behind its `./`.
    pub range: Range<usize>,
    /// It can only be meant as a file of the page: it begins with `./`, or is the value of an attribute that loads or links.
    pub is_certain: bool,
}

/// Attributes of HTML whose value is an address.
const ATTRIBUTES: &[&str] = &["src=", "srcset=", "href=", "poster="];

/// Every reference in `text`, in order.
///
/// # Errors
/// The text between the quotes, where it leads somewhere that no file of the page can be: all files lie in one folder.
pub fn references(text: &str) -> Result<Vec<Reference>, &str> {
    let mut found = Vec::new();
    for (at, opening) in text.match_indices(['"', '\'', '`', '(']) {
        let closing = match opening {
            "(" if !text[..at].ends_with("url") => continue,
            "(" => ')',
            quote => quote.chars().next().expect("one character"),
        };
        if is_comment(text, at) {
            continue;
        }
        let inside = &text[at + 1..];
        let Some(length) = inside.find([closing, '\n']).filter(|&end| inside[end..].starts_with(closing))
        else {
            continue;
        };
        let content = &inside[..length];
        let relative = content.strip_prefix("./");
        let is_address = ATTRIBUTES.iter().any(|attribute| text[..at].ends_with(attribute));
        let name = relative.unwrap_or(content);
        if is_file_name(name) {
            let end = at + 1 + length;
            // wasm-bindgen calls the imports of the module by a name that is no file: `{ "./protoseg_bg.js": imports }`.
            let is_key = text[end + 1..].starts_with(':');
            let is_certain = (relative.is_some() || is_address) && !is_key;
            found.push(Reference { range: end - name.len()..end, is_certain });
        } else if relative.is_some_and(|rest| !rest.is_empty()) || is_address && !leads_elsewhere(name) {
            return Err(content);
        }
    }
    Ok(found)
}

/// True in a line of comment, so that types named there (`@param {import("./a.js").A}`) close no circle between files.
fn is_comment(text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default().trim();
    // A line of CSS may begin with `*` alone.
    line.starts_with("//") || line.starts_with("* @") || line.starts_with("/**") && line.ends_with("*/")
}

/// Letters, digits, `-`, `_` and `.`, with a stem and an extension.
fn is_file_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && text.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty())
        && !text.starts_with('.')
}

/// The page itself, a place in it, its parameters, or a whole address such as a link to a paper.
fn leads_elsewhere(address: &str) -> bool {
    address.is_empty()
        || address.starts_with(['#', '?'])
        || ["https:", "mailto:", "data:", "blob:"].iter().any(|scheme| address.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(&str, bool)> {
        let found = references(text).expect("no dead end");
        found.into_iter().map(|r| (&text[r.range], r.is_certain)).collect()
    }

    #[test]
    fn names_in_quotes_and_urls() {
        assert_eq!(names(r#"import init from "./protoseg.js";"#), [("protoseg.js", true)]);
        assert_eq!(names("new URL('protoseg_bg.wasm', import.meta.url)"), [("protoseg_bg.wasm", false)]);
        assert_eq!(names("a { background: url(./a-b.png) }"), [("a-b.png", true)]);
        assert_eq!(names("a { background: url('b.png') }"), [("b.png", false)]);
        assert_eq!(
            names("const m = { street: `./street-small.safetensors` };"),
            [("street-small.safetensors", true)]
        );
        assert_eq!(names(r#"<img src="street.png" alt="x">"#), [("street.png", true)]);
    }

    #[test]
    fn what_only_looks_like_a_name() {
        assert_eq!(names("it's ./main.js, isn't it"), []);
        assert_eq!(names(r#"page.put("photos/a.jpg") + "1 . 5" + "./" + ".hidden" + "trailing.""#), []);
        assert_eq!(names("f(main.js)"), []);
        assert_eq!(names(r#"return { "./protoseg_bg.js": imports }"#), [("protoseg_bg.js", false)]);
        let types = "/** @type {import(\"./a.js\").A} */\n/**\n * @param {import(\"./b.js\").B} b\n */\n  // './c.js'\n";
        assert_eq!(names(types), []);
        assert_eq!(names("* { background: url(./a.png) }"), [("a.png", true)]);
        assert_eq!(names("\"./main.js\n\""), []);
    }

    #[test]
    fn addresses_that_are_no_files() {
        let text = r##"<a href="https://example.org/paper.pdf"> <a href="#how"> <a href="?selftest"> <a href="./"> <a href="">"##;
        assert_eq!(names(text), []);
        assert_eq!(names(r#"<link rel="icon" href="data:image/svg+xml,%3Csvg%3E">"#), []);
    }

    #[test]
    fn dead_ends() {
        let dead = |text: &'static str| references(text).unwrap_err();
        assert_eq!(dead(r#"<a href="/about.html">"#), "/about.html");
        assert_eq!(dead(r#"<script src="//cdn.example.org/a.js">"#), "//cdn.example.org/a.js");
        assert_eq!(dead(r#"<script src="http://example.org/a.js">"#), "http://example.org/a.js");
        assert_eq!(dead(r#"import "./parts/a.js""#), "./parts/a.js");
        assert_eq!(dead("fetch(`./${name}.png`)"), "./${name}.png");
        assert_eq!(dead(r#"<img srcset="./a.png 2x">"#), "./a.png 2x");
    }
}
