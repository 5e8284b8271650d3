//! The layer diagram as a test: arrows only go down, `wgpu` stays in the device layer, GUI crates in the viewer.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use support::{Source, has_extension, root, sources};

/// The diagram, top to bottom: every top-level module and the arrows that leave it. A module may name all that its
/// arrows lead to, directly or by way of others, and never what stands above it.
const LAYERS: &[(&str, &[&str])] = &[
    // Front ends; `bin` is the command line.
    ("bin", &["viewer", "verify", "bench", "synth", "import", "onnx"]),
    ("web", &["viewer", "verify"]),
    ("viewer", &["train", "explain", "synth"]),
    // What a person asks for.
    ("train", &["infer", "protobuf"]),
    ("onnx", &["infer", "protobuf"]),
    ("verify", &["model", "oracle"]),
    ("bench", &["model"]),
    ("import", &["model"]),
    ("explain", &["infer"]),
    ("infer", &["model", "data"]),
    // A backbone and the paper's head together, and the file that holds them; of the data, the names of the classes.
    ("model", &["head", "data"]),
    // Images and labels: no GPU.
    ("data", &["rng", "fs_atomic", "words"]),
    // The paper, then layers and backbones made of operations.
    ("head", &["proto"]),
    ("proto", &["nn"]),
    ("nn", &["ops", "model_file"]),
    // The engine.
    ("ops", &["tape", "rng"]),
    ("tape", &["gpu", "oracle"]),
    ("gpu", &["fs_atomic", "pause"]),
    // Leaves, and what is made of leaves alone.
    ("model_file", &["fs_atomic"]),
    ("synth", &["rng", "fs_atomic"]),
    ("fs_atomic", &["disk", "error"]),
    ("oracle", &["rng"]),
    ("rng", &["error"]),
    ("disk", &[]),
    ("protobuf", &[]),
    ("pause", &[]),
    ("words", &[]),
    ("error", &[]),
];

/// Outside the diagram: compiled for tests only, so no layer can lean on it.
const TEST_HELPERS: &str = "testing";

/// Modules that only some may name, whatever leads there by way of others. The oracle is what the device is checked
/// against: beside operations (their formulas), the tape (its second interpreter) and `verify`, only tests lean on it.
const DIRECT: &[(&str, &[&str])] = &[("oracle", &["ops", "tape", "verify"])];

/// What the unit tests of any module may name: a truth to compare with, and images to work on.
const FOR_TESTS: &[&str] = &["oracle", "synth"];

/// Crates that only some modules may name.
const CONFINED: &[(&str, &[&str])] = &[
    ("wgpu", &["gpu"]),
    ("naga", &["gpu"]),
    ("egui", &["viewer"]),
    ("eframe", &["viewer", "web"]),
    ("winit", &["viewer"]),
    ("zip", &["import"]),
];

/// Parts of names of crates that draw windows.
const GUI: &[&str] = &[
    "egui", "epaint", "eframe", "winit", "wayland", "x11", "xkb", "smithay", "gtk", "glutin", "rfd",
    "arboard",
];

/// Everything below each module of the diagram.
fn below() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut below: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for &(module, arrows) in LAYERS.iter().rev() {
        let mut reached = BTreeSet::new();
        for &target in arrows {
            let further = below.get(target).unwrap_or_else(|| {
                panic!("LAYERS: `{module}` points at `{target}`, which must stand further down in the list")
            });
            reached.extend(further.iter().copied());
            reached.insert(target);
        }
        below.insert(module, reached);
    }
    below
}

/// The code without its comments, line numbers kept.
fn without_comments(text: &str) -> String {
    let code = |line: &str| line.find("//").map_or(line, |at| &line[..at]).to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// Byte offsets just behind `word` where it stands as a whole word.
fn ends_of<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).filter_map(move |(at, _)| {
        let end = at + word.len();
        let inside = code[..at].ends_with(part_of_name) || code[end..].starts_with(part_of_name);
        (!inside).then_some(end)
    })
}

/// The first names of what follows a path's `::`: one name, or every branch of `{a::b, c::{d, e}}`.
fn heads(rest: &str) -> Vec<&str> {
    let name = |text: &'_ str| -> usize {
        text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
    };
    let rest = rest.trim_start();
    let Some(group) = rest.strip_prefix('{') else { return vec![&rest[..name(rest)]] };
    let (mut found, mut depth, mut at_start) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                at_start = false;
                found.push(&group[at..at + name(&group[at..])]);
            }
            _ => {}
        }
    }
    found
}

/// Line number and name of everything that `source` takes from the root of the crate, by `crate::` or by the library's
/// own name (in the binary).
fn arrows(source: &Source) -> Vec<(usize, String)> {
    let code = without_comments(&source.text);
    let mut found = Vec::new();
    let mut add = |end: usize| {
        if let Some(rest) = code[end..].trim_start().strip_prefix("::") {
            let line = code[..end].lines().count();
            found.extend(heads(rest).into_iter().map(|head| (line, head.to_owned())));
        }
    };
    ends_of(&code, "crate").for_each(&mut add);
    ends_of(&code, env!("CARGO_PKG_NAME")).for_each(&mut add);
    found.sort();
    found
}

/// Lines with a chain of `super::` so long that it leaves the top-level module: an arrow in disguise.
fn climbs(source: &Source) -> Vec<usize> {
    let is_folder = source.path.ends_with("/mod.rs");
    let depth = source.path.matches('/').count() - usize::from(is_folder);
    let mut found = Vec::new();
    // Modules written inside the file, by the indentation of the brace that will close them.
    let mut inside: Vec<usize> = Vec::new();
    for (index, line) in without_comments(&source.text).lines().enumerate() {
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        if text.starts_with('}') && inside.last() == Some(&indentation) {
            inside.pop();
        }
        let names: Vec<&str> = text.split_whitespace().collect();
        let opens = names.iter().position(|&name| name == "mod").is_some_and(|at| {
            at <= 1 && names.last() == Some(&"{") && (at == 0 || names[0].starts_with("pub"))
        });
        if opens {
            inside.push(indentation);
        }
        let longest = text.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).map(|path| {
            path.split("::").take_while(|name| *name == "super").count().min(path.matches("::").count())
        });
        if longest.max().unwrap_or(0) >= depth + inside.len() {
            found.push(index + 1);
        }
    }
    found
}

/// The line (counted from 1) on which the file's unit tests begin; they are its last part.
fn first_test_line(source: &Source) -> usize {
    let lines: Vec<&str> = source.text.lines().collect();
    let opens =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    let all = source.path.ends_with("/tests.rs");
    if all { 1 } else { lines.windows(2).position(opens).map_or(usize::MAX, |index| index + 1) }
}

/// `src/gpu/device.rs` and `src/gpu.rs` belong to `gpu`.
fn module_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// Names that lib.rs re-exports, and the module they come from: `crate::Error` is an arrow to `error`.
fn re_exports(sources: &[Source]) -> BTreeMap<String, String> {
    let lib = sources.iter().find(|s| s.path == "src/lib.rs").expect("src/lib.rs");
    let code = without_comments(&lib.text);
    let mut names = BTreeMap::new();
    for statement in code.split(';').filter_map(|s| s.trim().strip_prefix("pub use ")) {
        if let Some((module, rest)) = statement.split_once("::") {
            names.extend(heads(rest).into_iter().map(|name| (name.to_owned(), module.to_owned())));
        }
    }
    names
}

/// Every arrow that turns back and every module that has no place, as sentences.
fn violations(sources: &[Source]) -> Vec<String> {
    let (below, names) = (below(), re_exports(sources));
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| s.path != "src/lib.rs") {
        let module = module_of(&source.path);
        let Some(reachable) = below.get(module) else {
            if module != TEST_HELPERS {
                found.push(format!(
                    "{}: the module `{module}` has no place in the layer diagram: add it to LAYERS in tests/layers.rs",
                    source.path
                ));
            }
            continue;
        };
        let first_test = first_test_line(source);
        for line in climbs(source) {
            found.push(format!("{}:{line}: `super` leads out of `{module}`: write `crate::`", source.path));
        }
        for (line, head) in arrows(source) {
            let target = names.get(&head).unwrap_or(&head).as_str();
            let known = below.contains_key(target);
            let direct = DIRECT.iter().all(|(of, users)| *of != target || users.contains(&module));
            let tested = line >= first_test && FOR_TESTS.contains(&target);
            let arrow = reachable.contains(target) && direct;
            let allowed = !known || target == module || target == "error" || arrow || tested;
            if !allowed {
                found.push(format!(
                    "{}:{line}: `{module}` uses `{target}`, and no arrow of the layer diagram leads there",
                    source.path
                ));
            }
        }
    }
    found
}

/// Every place outside its modules where a confined crate is named.
fn strays(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let code = without_comments(&source.text);
        for (krate, homes) in CONFINED.iter().filter(|(_, homes)| !homes.contains(&module_of(&source.path))) {
            for end in ends_of(&code, krate) {
                let (before, after) = (code[..end - krate.len()].trim_end(), code[end..].trim_start());
                if after.starts_with("::") || before.ends_with("use") || before.ends_with("extern crate") {
                    let line = code[..end].lines().count();
                    let homes = homes.join(", ");
                    found.push(format!("{}:{line}: `{krate}` may be named in `{homes}` only", source.path));
                }
            }
        }
    }
    found
}

fn library() -> Vec<Source> {
    let mut all = sources(&["src"]);
    all.retain(|s| has_extension(&s.path, "rs"));
    all
}

fn report(found: &[String]) {
    assert!(found.is_empty(), "{} found\n{}", found.len(), found.join("\n"));
}

#[test]
fn arrows_only_go_down() {
    report(&violations(&library()));
}

#[test]
fn confined_crates_stay_where_they_live() {
    report(&strays(&library()));
}

/// The walls themselves: each way of writing an arrow that turns back is found.
#[test]
fn planted_arrows_are_found() {
    let lib =
        Source { path: "src/lib.rs".into(), text: "pub use train::{Session, Event as Happened};".into() };
    let file = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let cases = [
        (file("src/gpu/device.rs", "use crate::tape::Tape;"), "src/gpu/device.rs:1: `gpu` uses `tape`"),
        (
            file("src/oracle/a.rs", "\nuse crate::{error::Result, gpu::{Caps, Gpu}};"),
            "a.rs:2: `oracle` uses `gpu`",
        ),
        (file("src/tape/a.rs", "fn f() {\n let x = crate::ops::relu::f();\n}"), "a.rs:2: `tape` uses `ops`"),
        (file("src/data/a/mod.rs", "use super::super::gpu::Gpu;"), "mod.rs:1: `super` leads out of `data`"),
        (file("src/nn.rs", "\nuse super::{gpu, head};"), "nn.rs:2: `super` leads out of `nn`"),
        (
            file("src/ops/a.rs", "mod tests {\n    use super::super::super::nn::Arch;\n}"),
            "a.rs:2: `super` leads out of `ops`",
        ),
        (file("src/train/a.rs", "use crate::oracle::Array;"), "a.rs:1: `train` uses `oracle`"),
        (file("src/bin/protoseg/a.rs", "use protoseg::oracle;"), "a.rs:1: `bin` uses `oracle`"),
        (file("src/infer/a.rs", "use crate::Session;"), "a.rs:1: `infer` uses `train`"),
        (file("src/novel/a.rs", ""), "`novel` has no place"),
    ];
    for (source, wanted) in cases {
        let path = source.path.clone();
        let lib = Source { path: lib.path.clone(), text: lib.text.clone() };
        let found = violations(&[lib, source]);
        assert!(found.len() == 1 && found[0].contains(wanted), "{path}: {found:?}");
    }
    let fine = [
        lib,
        file("src/train/a.rs", "use crate::{Session, data::Dataset, error::Error}; use super::step;"),
        file("src/gpu/a.rs", "// crate::ops is above\nuse super::device; use wgpu::Device;"),
        file("src/ops/a.rs", "use crate::oracle;\npub mod b {\n    pub(super) use super::super::c;\n}"),
        file("src/nn.rs", "mod tests {\n    use super::*;\n}"),
        file("src/head/a.rs", "\n#[cfg(test)]\nmod tests {\n    use crate::{oracle::Array, synth};\n}"),
        file("src/train/a/tests.rs", "use crate::synth::scene;"),
        file("src/bin/protoseg/main.rs", "use protoseg::{explain::figure, train};"),
    ];
    report(&violations(&fine));
    assert_eq!(strays(&fine), Vec::<String>::new());
    assert_eq!(strays(&[file("src/ops/a.rs", "type D = wgpu::Device; use naga; let my_wgpu = 1;")]).len(), 2);
}

#[test]
fn headless_build_has_no_gui_crate() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    assert!(tree.contains("wgpu"), "cargo tree printed no dependency:\n{tree}");
    let crates: BTreeSet<_> = tree.lines().filter_map(|l| l.split_whitespace().next()).collect();
    let gui: Vec<_> = crates.into_iter().filter(|name| GUI.iter().any(|part| name.contains(part))).collect();
    assert!(gui.is_empty(), "the default features pull in {gui:?}: `cargo tree -i NAME` says by way of what");
}
