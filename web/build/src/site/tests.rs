use super::*;

fn files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn text<'a>(site: &'a Site, start: &str) -> &'a str {
    let (_, content) =
        site.files.iter().find(|(path, _)| path.starts_with(start)).expect("the file is there");
    std::str::from_utf8(content).expect("UTF-8")
}

fn sentence(sources: &[(&str, &str)]) -> String {
    format!("{:#}", lay_out(&files(sources)).expect_err("this page is refused"))
}

#[test]
fn the_hash_is_crc_64_xz() {
    // The check value of the catalogue of parametrised CRC algorithms.
    assert_eq!(hash(b"123456789"), "995dc9bbdf1939fa");
    assert!(is_hashed("main-995dc9bbdf1939fa.js"));
    assert!(is_hashed("street-small-995dc9bbdf1939fa.safetensors"));
    for name in [
        "main.js",
        "index.html",
        "main-995dc9bbdf1939f.js",
        "main-995DC9BBDF1939FA.js",
        "995dc9bbdf1939fa.js",
    ] {
        assert!(!is_hashed(name), "{name}");
    }
}

#[test]
fn names_are_rewritten_leaves_first() {
    let site = lay_out(&files(&[
        (
            "index.html",
            r#"<link href="./style.css"><script type="module" src="./main.js"></script><a href="./">"#,
        ),
        ("style.css", "body { background: url(./a.png) }"),
        ("main.js", r#"import "./part.js"; const note = "part.js.map"; put("b.png", "./b.png");"#),
        ("part.js", "new URL('a.png', import.meta.url)"),
        ("a.png", "picture"),
        ("b.png", "another"),
    ]))
    .expect("a page");
    let (picture, other) = (hash(b"picture"), hash(b"another"));
    assert_eq!(text(&site, "assets/style"), format!("body {{ background: url(./a-{picture}.png) }}"));
    let part = format!("new URL('a-{picture}.png', import.meta.url)");
    assert_eq!(text(&site, "assets/part"), part);
    let part = hash(part.as_bytes());
    let main =
        format!(r#"import "./part-{part}.js"; const note = "part.js.map"; put("b.png", "./b-{other}.png");"#);
    assert_eq!(text(&site, "assets/main"), main);
    let (main, style) = (hash(main.as_bytes()), hash(text(&site, "assets/style").as_bytes()));
    let index = format!(
        r#"<link href="./assets/style-{style}.css"><script type="module" src="./assets/main-{main}.js"></script><a href="./">"#
    );
    assert_eq!(text(&site, "index.html"), index);
    assert_eq!(site.files.len(), 6);
    assert_eq!(site.unnamed, Vec::<String>::new());
}

#[test]
fn a_change_below_changes_every_name_above() {
    let page = |picture| {
        let sources = [
            ("index.html", r#"<script src="./main.js"></script>"#),
            ("main.js", "'./part.js'"),
            ("part.js", "'./a.png'"),
            ("a.png", picture),
        ];
        lay_out(&files(&sources)).expect("a page").files
    };
    let (before, after) = (page("red"), page("blue"));
    let common: Vec<_> = before.keys().filter(|path| after.contains_key(*path)).collect();
    assert_eq!(common, ["index.html"]);
    assert_ne!(before["index.html"], after["index.html"]);
    assert_eq!(before, page("red"));
}

#[test]
fn a_page_that_cannot_work_is_refused() {
    assert_eq!(
        sentence(&[("main.js", "")]),
        "the page has no index.html, and that is where a browser begins"
    );
    assert_eq!(
        sentence(&[("index.html", r#"<script src="./man.js">"#), ("main.js", "")]),
        "`index.html` names `man.js`, and the page has no such file"
    );
    assert_eq!(
        sentence(&[("index.html", r#"<a href="index.html">"#)]),
        "`index.html` names `index.html`: link to `./` instead"
    );
    assert!(sentence(&[("index.html", ""), ("a.docx", "")]).starts_with("`a.docx` is of no kind"));
    assert!(
        sentence(&[("index.html", ""), ("a.js", "'./x/b.js'")])
            .starts_with("`a.js` names `./x/b.js`: files of")
    );
    let circle =
        sentence(&[("index.html", ""), ("a.js", "'./b.js'"), ("b.js", "'./c.js'"), ("c.js", "'./b.js'")]);
    assert!(circle.ends_with(": b.js -> c.js -> b.js"), "{circle}");
}

#[test]
fn files_that_nobody_names_are_told() {
    let site = lay_out(&files(&[("index.html", ""), ("old.png", "")])).expect("a page");
    assert_eq!(site.unnamed, ["old.png"]);
    assert_eq!(site.files.len(), 2);
}
