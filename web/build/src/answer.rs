//! What the server answers: the file below its folder and the headers that a good static host sends with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::kind::kind;
use crate::site::{INDEX, is_hashed};
use crate::sizes::{brotli, gzip};

/// Below this, headers weigh more than what compression saves (bytes).
const MIN_COMPRESSED: usize = 1024;

/// A response of HTTP, but for its length and date.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
}

/// A folder and what was compressed of it.
pub struct Folder {
    root: PathBuf,
    /// By path and coding; hashed files only, whose content never changes.
    compressed: Mutex<BTreeMap<(PathBuf, &'static str), Vec<u8>>>,
}

impl Folder {
    /// # Errors
    /// The folder is not there.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: root.canonicalize()?, compressed: Mutex::default() })
    }

    /// The answer to a request for `url` from someone who takes these content codings (the header `Accept-Encoding`).
    pub fn answer(&self, url: &str, accepted: &str) -> Answer {
        let address = url.split(['?', '#']).next().unwrap_or_default();
        let found = self.find(address).and_then(|path| Some((std::fs::read(&path).ok()?, path)));
        let Some((content, path)) = found else {
            return words(404, format!("There is no file `{address}` here.\n"));
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let kind = kind(&name);
        let is_compressible = kind.is_some_and(|k| k.is_compressible) && content.len() >= MIN_COMPRESSED;
        let hashed = is_hashed(&name);
        let mut headers = vec![
            ("Content-Type", kind.map_or("application/octet-stream", |k| k.mime)),
            ("Cache-Control", if hashed { "public, max-age=31536000, immutable" } else { "no-cache" }),
            ("X-Content-Type-Options", "nosniff"),
        ];
        let mut body = content;
        if is_compressible {
            headers.push(("Vary", "Accept-Encoding"));
            if let Some(coding) = coding(accepted) {
                headers.push(("Content-Encoding", coding));
                body = if hashed { self.compressed(path, coding, &body) } else { compress(coding, &body) };
            }
        }
        Answer { status: 200, headers, body }
    }

    /// The file at the path of an address; none that lies elsewhere, whatever dots, escapes or links lead there.
    fn find(&self, address: &str) -> Option<PathBuf> {
        let mut path = self.root.clone();
        let inner = address.strip_prefix('/')?;
        for part in if inner.is_empty() { INDEX } else { inner }.split('/') {
            let part = unescaped(part)?;
            // A backslash and a colon lead elsewhere on Windows.
            if matches!(part.as_str(), "" | "." | "..") || part.contains(['/', '\\', ':', '\0']) {
                return None;
            }
            path.push(part);
        }
        let path = path.canonicalize().ok()?;
        (path.starts_with(&self.root) && path.is_file()).then_some(path)
    }

    fn compressed(&self, path: PathBuf, coding: &'static str, content: &[u8]) -> Vec<u8> {
        let mut known = self.compressed.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((path, coding)).or_insert_with(|| compress(coding, content)).clone()
    }
}

/// An answer that a person reads.
pub fn words(status: u16, text: String) -> Answer {
    let headers = vec![
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    Answer { status, headers, body: text.into_bytes() }
}

/// The best coding of those accepted, if there is one.
fn coding(accepted: &str) -> Option<&'static str> {
    let is_accepted = |coding: &&str| {
        accepted.split(',').any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let refused = |quality: &str| quality.trim_start_matches("q=").parse() == Ok(0.0);
            parts.next() == Some(*coding) && !parts.any(refused)
        })
    };
    ["br", "gzip"].into_iter().find(is_accepted)
}

/// Nobody waits long for the first answer at these levels.
fn compress(coding: &str, content: &[u8]) -> Vec<u8> {
    if coding == "br" { brotli(content, 5) } else { gzip(content, 6) }
}

/// With `%41` read as `A`.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
