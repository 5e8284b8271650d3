//! Composes `shaders/**/*.wgsl` into plain WGSL at build time: a line `//!include lib/NAME.wgsl` is replaced by that file.
//! The result is a table of (stem, family, source) that `gpu::shaders` reads; a missing include stops the build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("shaders");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut table = String::from("pub(super) static TABLE: &[Shader] = &[\n");
    for file in files {
        let relative = file.strip_prefix(&root).expect("below the root");
        let family = relative.parent().and_then(Path::to_str).unwrap_or_default();
        if family == "lib" {
            continue;
        }
        let stem = relative.file_stem().and_then(|s| s.to_str()).expect("UTF-8 file name");
        let source = compose(&root, &file);
        writeln!(table, "    Shader {{ stem: {stem:?}, family: {family:?}, source: {source:?} }},")
            .expect("in memory");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("shaders.rs");
    fs::write(out, table).expect("OUT_DIR is writable");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("shaders/ is readable") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "wgsl") {
            files.push(path);
        }
    }
}

fn compose(root: &Path, file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("//!include ") {
            Some(name) => out.push_str(&compose(root, &root.join(name.trim()))),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}
