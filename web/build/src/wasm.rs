//! The library as a module that a browser loads: cargo, then wasm-bindgen in this process (so that Cargo.lock pins both of its
//! halves), then wasm-opt where there is one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

use crate::site::Files;

const TARGET: &str = "wasm32-unknown-unknown";
/// The files that come of it: JavaScript around the module, and the module. The first knows the second by this name.
pub const NAMES: [&str; 2] = ["protoseg.js", "protoseg_bg.wasm"];
/// Older ones break what wasm-bindgen writes (Debian's 108: the page dies with a TypeError in `Table.set`).
const OLDEST_WASM_OPT: u32 = 120;
/// What rustc emits for this target by itself; with more, wasm-opt may use what not every browser with WebGPU has.
const WASM_FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Builds the files of [`NAMES`] from the library in `root`. With `dev` it is cargo's own release profile, which
/// compiles piece by piece, function names are kept for the console, and wasm-opt stays out.
///
/// # Errors
/// The target cannot be had, the library does not compile, or a tool fails.
pub fn build(root: &Path, dev: bool) -> Result<Files> {
    target()?;
    let module = compile(root, dev)?;
    let (glue, mut wasm) = bind(&module, dev)?;
    if dev {
        say!("wasm-opt: not in a build for development");
    } else if let Some(tool) = wasm_opt() {
        say!("wasm-opt: {}", tool.display());
        wasm = optimise(&tool, &module, &wasm)?;
    }
    let [script, program] = NAMES.map(str::to_owned);
    Ok([(script, glue.into_bytes()), (program, wasm)].into())
}

/// Sees to it that rustc has the standard library of the target.
fn target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let output = Command::new(rustc).args(arguments).output().context("rustc does not start")?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    let status = Command::new("rustup").args(["target", "add", TARGET]).status();
    let remedy = "install Rust by way of rustup, or the package of your system that holds it";
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!("`rustup target add {TARGET}` failed: the page needs this target of Rust"),
        Err(_) => bail!("this Rust cannot compile for {TARGET}, and there is no rustup to add it: {remedy}"),
    }
}

/// Compiles the library as a module of its own kind, which native builds never do; returns where it lies.
fn compile(root: &Path, dev: bool) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = if dev { "release" } else { "web" };
    let output = Command::new(cargo)
        .args(["rustc", "--package", "protoseg", "--lib", "--crate-type", "cdylib", "--target", TARGET])
        .args([
            "--features",
            "viewer,web",
            "--profile",
            profile,
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not start")?;
    ensure!(output.status.success(), "the library does not compile for the browser; the reason stands above");
    let told = String::from_utf8_lossy(&output.stdout);
    let mut modules = told.lines().filter_map(|line| module_of(&serde_json::from_str(line).ok()?));
    modules.next_back().context("cargo told of no module for the browser")
}

/// The `.wasm` file of one message of cargo, if the message is of one.
fn module_of(message: &Value) -> Option<PathBuf> {
    let files = message.get("filenames")?.as_array()?;
    let is_module = |file: &&str| file.ends_with(".wasm");
    files.iter().filter_map(Value::as_str).find(is_module).map(PathBuf::from)
}

/// The module and the JavaScript around it.
fn bind(module: &Path, dev: bool) -> Result<(String, Vec<u8>)> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name("protoseg").web(true)?.typescript(false);
    // `init()` finds the module by itself.
    bindgen.omit_default_module_path(false);
    bindgen.keep_debug(false).remove_name_section(!dev).remove_producers_section(true);
    let mut output = bindgen.generate_output().context("wasm-bindgen fails")?;
    // Every crate has a list of snippets; most are empty.
    let inline = output.snippets().iter().filter(|(_, list)| !list.is_empty()).map(|(name, _)| name);
    let foreign: Vec<_> =
        inline.chain(output.local_modules().keys()).chain(output.npm_dependencies().keys()).collect();
    ensure!(foreign.is_empty(), "JavaScript comes along that the page cannot hold, with or as {foreign:?}");
    let wasm = output.wasm_mut().emit_wasm();
    Ok((output.js().to_owned(), wasm))
}

/// The wasm-opt on PATH, unless it is too old; says why there is none. It is no must: what is sent (brotli) is hardly
/// smaller after it.
fn wasm_opt() -> Option<PathBuf> {
    let tool = PathBuf::from("wasm-opt");
    let reason = match Command::new(&tool).arg("--version").output() {
        Err(_) => "not found".to_owned(),
        Ok(output) => match version(&String::from_utf8_lossy(&output.stdout)) {
            Some(version) if version >= OLDEST_WASM_OPT => return Some(tool),
            Some(version) => format!("version {version} breaks the module"),
            None => "it does not tell its version".to_owned(),
        },
    };
    say!("wasm-opt: {reason}; the module stays 4 % larger before compression");
    None
}

/// 132 of `wasm-opt version 132 (version_132)`.
fn version(text: &str) -> Option<u32> {
    let mut words = text.split_whitespace().skip_while(|word| *word != "version");
    words.nth(1)?.parse().ok()
}

/// What wasm-opt makes of `wasm`; its files lie beside `module`.
fn optimise(tool: &Path, module: &Path, wasm: &[u8]) -> Result<Vec<u8>> {
    let before = module.with_extension("bound.wasm");
    let after = module.with_extension("small.wasm");
    std::fs::write(&before, wasm).with_context(|| format!("cannot write {}", before.display()))?;
    let status = Command::new(tool)
        // -Oz saves 1 % more bytes, takes a third longer, and what is sent (brotli) is larger than after -O2.
        .args(["-O2", "--strip-debug", "--strip-producers"])
        .args(WASM_FEATURES)
        .arg(&before)
        .arg("-o")
        .arg(&after)
        .status()
        .with_context(|| format!("{} does not start", tool.display()))?;
    ensure!(status.success(), "{} fails; the reason stands above", tool.display());
    std::fs::read(&after).with_context(|| format!("cannot read {}", after.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(version("wasm-opt version 132 (version_132)\n"), Some(132));
        assert_eq!(version("wasm-opt version 108\n"), Some(108));
        assert_eq!(version("wasm-opt version 124 (version_124-7-gabcdef)"), Some(124));
        assert_eq!(version("usage: wasm-opt"), None);
    }

    #[test]
    fn the_module_is_found_in_what_cargo_tells() {
        let of = |text: &str| module_of(&serde_json::from_str(text).expect("JSON"));
        let told = r#"{"reason":"compiler-artifact","filenames":["target/web/protoseg.wasm"]}"#;
        assert_eq!(of(told), Some("target/web/protoseg.wasm".into()));
        assert_eq!(of(r#"{"reason":"compiler-artifact","filenames":["target/libpng.rlib"]}"#), None);
        assert_eq!(of(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn both_halves_of_wasm_bindgen_have_one_version() {
        let pinned = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("the dependency").to_owned();
            line[line.find("\"=").expect("pinned exactly")..].split('"').nth(1).expect("a version").to_owned()
        };
        let library = include_str!("../../../Cargo.toml");
        let builder = include_str!("../Cargo.toml");
        assert_eq!(pinned(library, "wasm-bindgen "), pinned(builder, "wasm-bindgen-cli-support "));
    }
}
