//! What a visitor downloads: every file as it lies, and as a host sends it.

use std::io::Write as _;

use flate2::Compression;

use crate::kind::kind;
use crate::site::Files;

/// Bytes of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Size {
    raw: usize,
    gzip: usize,
    brotli: usize,
}

/// The content in gzip's format, at `level` of 9.
pub fn gzip(content: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

/// The content in brotli's format, at `quality` of 11.
pub fn brotli(content: &[u8], quality: u32) -> Vec<u8> {
    // 4 MiB, brotli's own default window.
    let window_log2 = 22;
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 1 << 16, quality, window_log2);
    encoder.write_all(content).expect("in memory");
    encoder.into_inner()
}

/// What is not sent compressed counts as it lies.
fn size(path: &str, content: &[u8]) -> Size {
    let raw = content.len();
    if kind(path).is_some_and(|kind| kind.is_compressible) {
        Size { raw, gzip: gzip(content, 9).len(), brotli: brotli(content, 11).len() }
    } else {
        Size { raw, gzip: raw, brotli: raw }
    }
}

/// The page, its program and the small model: all that the first coloured picture waits for.
fn comes_first(path: &str) -> bool {
    let waits = |extension: &str| path.ends_with(extension);
    [".html", ".css", ".js", ".mjs", ".wasm"].into_iter().any(waits)
        || path.contains("/street-") && path.ends_with(".safetensors")
}

/// The table of all files, largest first, and the totals.
pub fn table(files: &Files) -> String {
    // The module takes brotli several seconds: each file has a thread.
    let mut rows: Vec<(&str, Size)> = std::thread::scope(|scope| {
        let measured: Vec<_> = files
            .iter()
            .map(|(path, content)| (path.as_str(), scope.spawn(|| size(path, content))))
            .collect();
        measured
            .into_iter()
            .map(|(path, thread)| (path, thread.join().expect("compression does not fail")))
            .collect()
    });
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(size.raw));
    let total = |counts: &dyn Fn(&str) -> bool| {
        rows.iter().filter(|(path, _)| counts(path)).fold(Size::default(), |sum, (_, size)| Size {
            raw: sum.raw + size.raw,
            gzip: sum.gzip + size.gzip,
            brotli: sum.brotli + size.brotli,
        })
    };
    let (first, all) = (total(&comes_first), total(&|_| true));
    let width = rows
        .iter()
        .map(|(path, _)| path.len())
        .max()
        .unwrap_or_default()
        .max("before the first picture".len());
    let mut text = format!("{:width$} {:>11} {:>11} {:>11}\n", "file (bytes)", "raw", "gzip", "brotli");
    for (name, size) in rows.into_iter().chain([("before the first picture", first), ("all", all)]) {
        let Size { raw, gzip, brotli } = size;
        text += &format!("{name:width$} {raw:>11} {gzip:>11} {brotli:>11}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn both_formats_are_read_back() {
        let text = "prototype ".repeat(1000).into_bytes();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&gzip(&text, 9)[..]).read_to_end(&mut back).expect("gzip");
        assert_eq!(back, text);
        back.clear();
        brotli::Decompressor::new(&brotli(&text, 11)[..], 4096).read_to_end(&mut back).expect("brotli");
        assert_eq!(back, text);
    }

    #[test]
    fn totals_count_what_the_first_picture_waits_for() {
        let text = "x".repeat(1000);
        let names = [
            "index.html",
            "assets/a.js",
            "assets/street-small-1.safetensors",
            "assets/camvid-1.safetensors",
            "assets/a.png",
        ];
        let files = names.into_iter().map(|name| (name.to_owned(), text.clone().into_bytes())).collect();
        let table = table(&files);
        let row = |name: &str| -> Vec<usize> {
            let line = table.lines().find(|line| line.starts_with(name)).expect("a row");
            line[name.len()..].split_whitespace().map(|number| number.parse().expect("a number")).collect()
        };
        assert_eq!(row("before the first picture")[0], 3000);
        assert_eq!(row("all")[0], 5000);
        assert_eq!(row("assets/street-small-1.safetensors"), [1000, 1000, 1000]);
        let [raw, gzip, brotli] = row("index.html")[..] else { panic!("three numbers") };
        assert!(raw == 1000 && gzip < 100 && brotli < 100, "{table}");
        assert_eq!(row("before the first picture")[1], 1000 + 2 * gzip);
    }
}
