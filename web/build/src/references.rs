//! Where a text of the page names other files of the page: `"./main.js"`, `src="main.js"`, `url(street.png)`, and
//! `new URL('protoseg_bg.wasm', import.meta.url)`.
//!
//! No language is parsed: what counts is a plain file name between two quotes or in `url(...)`. Without `./` it must stand where only an
//! address can; elsewhere `"street-small.safetensors"` may be a name on the page's own disk.

use std::ops::Range;

/// What stands before the quote, where it opens an address.
const ADDRESSES: &[&str] = &["src=", "srcset=", "href=", "poster=", "url(", "new URL("];

/// Every name in `text`, in order: its bytes, without its `./`.
///
/// # Errors
/// The text between the quotes, where it leads somewhere that no file of the page can be: all files lie in one folder.
pub fn references(text: &str) -> Result<Vec<Range<usize>>, &str> {
    let mut found = Vec::new();
    for (at, opening) in text.match_indices(['"', '\'', '`', '(']) {
        let closing = match opening {
            "(" if !text[..at].ends_with("url") => continue,
            "(" => ')',
            quote => quote.chars().next().expect("one character"),
        };
        let inside = &text[at + 1..];
        let Some(length) = inside.find([closing, '\n']).filter(|&end| inside[end..].starts_with(closing))
        else {
            continue;
        };
        let (content, end) = (&inside[..length], at + 1 + length);
        let relative = content.strip_prefix("./");
        let is_address = closing == ')' || ADDRESSES.iter().any(|before| text[..at].ends_with(before));
        let name = relative.unwrap_or(content);
        // wasm-bindgen calls the imports of the module by a name that is no file: `{ "./protoseg_bg.js": imports }`.
        let is_key = text[end + 1..].starts_with(':');
        if relative.is_none() && !is_address || is_key || is_comment(text, at) {
            continue;
        }
        if is_file_name(name) {
            found.push(end - name.len()..end);
        } else if relative.is_some_and(|rest| !rest.is_empty()) || !leads_elsewhere(name) {
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

/// The page itself, a place in it, its parameters, a whole address such as a link to a paper, or something else in quotes.
fn leads_elsewhere(address: &str) -> bool {
    address.is_empty()
        || address.starts_with(['#', '?', '"', '\'', '$'])
        || ["https:", "mailto:", "data:", "blob:"].iter().any(|scheme| address.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        references(text).expect("no dead end").into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn names_in_quotes_and_urls() {
        assert_eq!(names(r#"import init from "./protoseg.js";"#), ["protoseg.js"]);
        assert_eq!(names("new URL('protoseg_bg.wasm', import.meta.url)"), ["protoseg_bg.wasm"]);
        assert_eq!(names("a { background: url(./a-b.png) }"), ["a-b.png"]);
        assert_eq!(names("a { background: url('b.png') }"), ["b.png"]);
        assert_eq!(names("* { background: url(a.png) }"), ["a.png"]);
        assert_eq!(
            names("const m = { street: `./street-small.safetensors` };"),
            ["street-small.safetensors"]
        );
        assert_eq!(names(r#"<img src="street.png" alt="./street.png">"#), ["street.png", "street.png"]);
    }

    #[test]
    fn what_only_looks_like_a_name() {
        let none: [&str; 0] = [];
        assert_eq!(names("it's ./main.js, isn't it"), none);
        assert_eq!(
            names(r#"page.put("street-small.safetensors") + "1 . 5" + "./" + ".hidden" + "trailing.""#),
            none
        );
        assert_eq!(names("f(main.js) + \"./main.js\n\""), none);
        assert_eq!(names(r#"return { "./protoseg_bg.js": imports }"#), none);
        let types = "/** @type {import(\"./a.js\").A} */\n/**\n * @param {import(\"./b.js\").B} b\n */\n  // './c.js'\n";
        assert_eq!(names(types), none);
    }

    #[test]
    fn addresses_that_are_no_files() {
        let none: [&str; 0] = [];
        let links = r##"<a href="https://example.org/paper.pdf"> <a href="#how"> <a href="?selftest"> <a href="./"> <a href="">"##;
        assert_eq!(names(links), none);
        assert_eq!(names(r#"<link rel="icon" href="data:image/svg+xml,%3Csvg%3E">"#), none);
        assert_eq!(names("a { mask: url(#round) } b { background: url(data:image/png;base64,AA==) }"), none);
        assert_eq!(names("new URL(`${text}`, here)"), none);
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
        assert_eq!(dead("a { background: url(fonts/a.woff2) }"), "fonts/a.woff2");
    }
}
