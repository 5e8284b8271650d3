use std::io::Read as _;

use super::*;
use crate::site::hash;
use crate::testing::TempDir;

/// A site in `dist`, and a secret beside it.
fn site(name: &str) -> (TempDir, Folder) {
    let folder = TempDir::new(name);
    let dist = folder.path().join("dist");
    std::fs::create_dir_all(dist.join("assets")).expect("a folder");
    let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).expect("a file");
    write("dist/index.html", "<!doctype html>");
    write(&format!("dist/assets/{}", script()), &"text ".repeat(1000));
    write("dist/assets/with space.png", "picture");
    write("secret.txt", "secret");
    let opened = Folder::open(&dist).expect("the folder is there");
    (folder, opened)
}

fn script() -> String {
    format!("main-{}.js", hash(b""))
}

fn header(answer: &Answer, name: &str) -> Option<&'static str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

#[test]
fn files_come_with_the_headers_of_a_good_host() {
    let (_folder, site) = site("answer-headers");
    let page = site.answer("/?model=street#how", "");
    assert_eq!((page.status, page.body.as_slice()), (200, b"<!doctype html>".as_slice()));
    assert_eq!(header(&page, "Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(header(&page, "Cache-Control"), Some("no-cache"));
    assert_eq!(site.answer("/index.html", "").body, page.body);
    let script = site.answer(&format!("/assets/{}", script()), "");
    assert_eq!(header(&script, "Content-Type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(header(&script, "Cache-Control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(site.answer("/assets/with%20space.png", "").body, b"picture");
}

#[test]
fn text_is_compressed_for_those_who_take_it() {
    let (_folder, site) = site("answer-codings");
    let url = format!("/assets/{}", script());
    let plain = site.answer(&url, "identity, br;q=0");
    assert_eq!((header(&plain, "Content-Encoding"), header(&plain, "Vary")), (None, Some("Accept-Encoding")));
    assert_eq!(plain.body.len(), 5000);
    let mut back = Vec::new();
    let zipped = site.answer(&url, "gzip, deflate");
    assert_eq!(header(&zipped, "Content-Encoding"), Some("gzip"));
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_end(&mut back).expect("gzip");
    assert_eq!(back, plain.body);
    for _ in 0..2 {
        let small = site.answer(&url, "gzip;q=1.0, br;q=0.9");
        assert_eq!(header(&small, "Content-Encoding"), Some("br"));
        back.clear();
        brotli::Decompressor::new(&small.body[..], 4096).read_to_end(&mut back).expect("brotli");
        assert_eq!(back, plain.body);
    }
    let picture = site.answer("/assets/with%20space.png", "gzip, br");
    assert_eq!((header(&picture, "Content-Encoding"), header(&picture, "Vary")), (None, None));
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let (folder, site) = site("answer-escapes");
    let secret = folder.path().join("secret.txt");
    let outside = [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/./index.html",
        "//index.html",
        "secret.txt",
        "/index.html%00.txt",
        "/%zz",
        "/%e",
        "",
        "/assets",
        "/assets/",
        "/nothing.js",
    ];
    let absolute = format!("/{}", secret.display());
    for url in outside.into_iter().chain([absolute.as_str()]) {
        let answer = site.answer(url, "");
        assert_eq!(answer.status, 404, "{url}");
        assert!(!answer.body.windows(6).any(|part| part == b"secret") || url.contains("secret"), "{url}");
    }
    assert_eq!(site.answer("/nothing.js?x", "").body, b"There is no file `/nothing.js` here.\n");
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere_else() {
    let (folder, site) = site("answer-links");
    let link = |to: &str, name: &str| {
        let at = folder.path().join("dist").join(name);
        std::os::unix::fs::symlink(folder.path().join(to), at).expect("a link");
    };
    link("secret.txt", "file.txt");
    link("", "up");
    link("dist/index.html", "inside.html");
    assert_eq!(site.answer("/file.txt", "").status, 404);
    assert_eq!(site.answer("/up/secret.txt", "").status, 404);
    assert_eq!(site.answer("/inside.html", "").status, 200);
}
