//! What a file is, by its extension: its MIME type, and what builder and server may do with it.

/// One kind of file.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// The value of the header `Content-Type`.
    pub mime: &'static str,
    /// The text may name other files of the page.
    pub has_references: bool,
    /// Hosts send it compressed; pictures are already, and models are noise to a compressor.
    pub is_compressible: bool,
}

/// Extension, MIME type, whether it may name other files, whether it is sent compressed.
#[rustfmt::skip]
const KINDS: &[(&str, Kind)] = &[
    ("html", Kind { mime: "text/html; charset=utf-8", has_references: true, is_compressible: true }),
    ("css", Kind { mime: "text/css; charset=utf-8", has_references: true, is_compressible: true }),
    ("js", Kind { mime: "text/javascript; charset=utf-8", has_references: true, is_compressible: true }),
    ("mjs", Kind { mime: "text/javascript; charset=utf-8", has_references: true, is_compressible: true }),
    ("webmanifest", Kind { mime: "application/manifest+json", has_references: true, is_compressible: true }),
    ("json", Kind { mime: "application/json", has_references: false, is_compressible: true }),
    ("toml", Kind { mime: "text/plain; charset=utf-8", has_references: false, is_compressible: true }),
    ("txt", Kind { mime: "text/plain; charset=utf-8", has_references: false, is_compressible: true }),
    // Exactly this, or `WebAssembly.instantiateStreaming` refuses it.
    ("wasm", Kind { mime: "application/wasm", has_references: false, is_compressible: true }),
    ("svg", Kind { mime: "image/svg+xml", has_references: false, is_compressible: true }),
    ("png", Kind { mime: "image/png", has_references: false, is_compressible: false }),
    ("jpg", Kind { mime: "image/jpeg", has_references: false, is_compressible: false }),
    ("jpeg", Kind { mime: "image/jpeg", has_references: false, is_compressible: false }),
    ("webp", Kind { mime: "image/webp", has_references: false, is_compressible: false }),
    ("ico", Kind { mime: "image/x-icon", has_references: false, is_compressible: false }),
    ("safetensors", Kind { mime: "application/octet-stream", has_references: false, is_compressible: false }),
];

/// The kind of the file with this name, or none where a browser would not know what to do with it.
pub fn kind(name: &str) -> Option<&'static Kind> {
    let (_, extension) = name.rsplit_once('.')?;
    KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_browsers_insist_on() {
        let mime = |name| kind(name).map(|k| k.mime);
        assert_eq!(mime("protoseg_bg-0123456789abcdef.wasm"), Some("application/wasm"));
        assert_eq!(mime("main.js"), Some("text/javascript; charset=utf-8"));
        assert_eq!(mime("index.html"), Some("text/html; charset=utf-8"));
        assert_eq!(mime("PHOTO.JPG"), Some("image/jpeg"));
        assert_eq!(mime("street-small.safetensors"), Some("application/octet-stream"));
        assert_eq!(mime("notes.docx"), None);
        assert_eq!(mime("Makefile"), None);
    }

    #[test]
    fn each_extension_stands_once_in_small_letters() {
        for (at, (extension, _)) in KINDS.iter().enumerate() {
            assert!(extension.chars().all(|c| c.is_ascii_lowercase()), "{extension}");
            assert!(KINDS[..at].iter().all(|(other, _)| other != extension), "{extension} stands twice");
        }
    }
}
