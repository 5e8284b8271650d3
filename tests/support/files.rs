//! The repository's own files, for tests that read them.

use std::path::{Path, PathBuf};

/// The folder of Cargo.toml.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file below the root: its path relative to the root with `/`, and its content.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every text file at or below `places` (relative to the root, absent ones and git's ignored ones skipped), ordered by path.
pub fn sources(places: &[&str]) -> Vec<Source> {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).expect(".gitignore");
    let ignored: Vec<_> = ignored.lines().map(|line| root().join(line.trim_matches('/'))).collect();
    let mut files = Vec::new();
    for place in places {
        collect(&root().join(place), &ignored, &mut files);
    }
    files.sort();
    let relative = |file: &Path| {
        let parts = file.strip_prefix(root()).expect("below the root").components();
        parts.map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    // What is not UTF-8 (pictures, fonts) is no text.
    let read =
        |file: PathBuf| Some(Source { path: relative(&file), text: std::fs::read_to_string(file).ok()? });
    files.into_iter().filter_map(read).collect()
}

fn collect(place: &Path, ignored: &[PathBuf], files: &mut Vec<PathBuf>) {
    if ignored.iter().any(|path| path == place) {
        return;
    }
    if place.is_file() {
        files.push(place.to_owned());
    } else if let Ok(entries) = std::fs::read_dir(place) {
        for entry in entries {
            collect(&entry.expect("a directory entry").path(), ignored, files);
        }
    }
}

/// True for `path` ending in `.{extension}`.
pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == extension)
}
