//! Composes `shaders/**/*.wgsl` into plain WGSL at build time: a line `//!include lib/NAME.wgsl` is replaced by that file.
//! The result is a table of (stem, family, source, entries) that `gpu::shaders` reads. What the entries declare is read by
//! naga here, so that no program has to parse its own shaders; a missing include or a shader that is not valid stops the build.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use naga::valid::Capabilities;

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("shaders");
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed=build.rs");
    // A browser downloads the table: there it is without comments, and without the families that no browser can run.
    let bare = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
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
        if bare && is_native(stem) {
            continue;
        }
        let whole = compose(&root, &file);
        let entries = entries(stem, &whole);
        let source = if bare { without_comments(&whole) } else { whole };
        writeln!(
            table,
            "    Shader {{ stem: {stem:?}, family: {family:?}, source: {source:?}, entries: &[{entries}] }},"
        )
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

/// Our WGSL has line comments only, and no text in quotes.
fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Whether a shader is of a family whose features wgpu offers on no web page.
fn is_native(stem: &str) -> bool {
    stem.rsplit_once('.').is_some_and(|(_, family)| matches!(family, "software" | "subgroup" | "matrix"))
}

/// What naga lets the shaders of a family use: the last part of the stem.
fn capabilities(stem: &str) -> Capabilities {
    match stem.rsplit_once('.').map(|(_, family)| family) {
        Some("software" | "subgroup") => Capabilities::SUBGROUP,
        Some("f16") => Capabilities::SHADER_FLOAT16,
        Some("matrix") => {
            Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX
        }
        _ => Capabilities::empty(),
    }
}

/// The table's text for every entry point of a shader: name, bindings in use, layout of the uniform struct.
fn entries(stem: &str, source: &str) -> String {
    let broken = |text: String| -> ! { panic!("shader `{stem}` is not valid: {text}") };
    let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|e| broken(e.emit_to_string(source)));
    let flags = naga::valid::ValidationFlags::all();
    let mut validator = naga::valid::Validator::new(flags, capabilities(stem));
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|e| broken(e.emit_to_string(source)));
    let mut out = String::new();
    for (index, entry) in module.entry_points.iter().enumerate() {
        let used = info.get_entry_point(index);
        let (mut bindings, mut fields, mut bytes) = (Vec::new(), String::new(), 0);
        for (handle, variable) in module.global_variables.iter() {
            let Some(binding) = variable.binding else { continue };
            if used[handle].is_empty() {
                continue;
            }
            let access = match variable.space {
                naga::AddressSpace::Uniform => "Uniform",
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    "ReadWrite"
                }
                _ => "Read",
            };
            if access == "Uniform"
                && let naga::TypeInner::Struct { members, span } = &module.types[variable.ty].inner
            {
                bytes = *span;
                for member in members {
                    let (name, scalar) = (member.name.as_deref(), scalar(&module.types[member.ty].inner));
                    write!(fields, "({:?}, {}, {scalar}), ", name.unwrap_or_default(), member.offset)
                        .expect("in memory");
                }
            }
            let name = variable.name.as_deref().unwrap_or_default();
            let text =
                format!("Binding {{ name: {name:?}, index: {}, access: Access::{access} }}", binding.binding);
            bindings.push((binding.binding, text));
        }
        bindings.sort();
        let bindings: Vec<_> = bindings.into_iter().map(|(_, text)| text).collect();
        write!(
            out,
            "Reflection {{ entry: {:?}, bindings: &[{}], uniform_fields: &[{fields}], uniform_bytes: {bytes} }}, ",
            entry.name,
            bindings.join(", ")
        )
        .expect("in memory");
    }
    out
}

fn scalar(ty: &naga::TypeInner) -> &'static str {
    match *ty {
        naga::TypeInner::Scalar(naga::Scalar::F32) => "Some(Scalar::F32)",
        naga::TypeInner::Scalar(naga::Scalar::U32) => "Some(Scalar::U32)",
        naga::TypeInner::Scalar(naga::Scalar::I32) => "Some(Scalar::I32)",
        _ => "None",
    }
}
