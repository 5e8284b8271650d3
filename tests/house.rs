//! House rules that a reader feels: files short enough to read, shaders that explain themselves, nothing left open,
//! nothing that holds on one machine only.

mod support;

use support::{Source, has_extension, root, sources};

/// No file is longer (lines).
const MAX_LINES: usize = 600;
/// Half of the files are not longer (lines).
const MAX_MEDIAN_LINES: usize = 150;
/// Comment lines per 100 lines of WGSL, over all shaders.
const MIN_COMMENTS_PER_CENT: usize = 16;
/// Where code lies that people read.
const PLACES: &[&str] = &["src", "shaders", "tests", "examples", "web", "build.rs"];

/// Everything at the top level but git's own.
fn tracked() -> Vec<Source> {
    let names = std::fs::read_dir(root()).expect("the root of the package is readable");
    let names: Vec<_> = names
        .map(|entry| entry.expect("a directory entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".git")
        .collect();
    sources(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn code(places: &[&str]) -> Vec<Source> {
    let mut all = sources(places);
    all.retain(|s| ["rs", "wgsl", "js", "mjs", "css"].iter().any(|e| has_extension(&s.path, e)));
    all
}

#[test]
fn files_are_short() {
    let lines = |s: &Source| s.text.lines().count();
    let long: Vec<_> = code(PLACES)
        .iter()
        .filter(|s| lines(s) > MAX_LINES)
        .map(|s| format!("{}: {} lines, {MAX_LINES} at most", s.path, lines(s)))
        .collect();
    assert!(long.is_empty(), "split by meaning:\n{}", long.join("\n"));
    let mut lengths: Vec<_> = code(&["src", "shaders"]).iter().map(lines).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MAX_MEDIAN_LINES, "the median file has {median} lines, {MAX_MEDIAN_LINES} at most");
}

#[test]
fn shaders_explain_themselves() {
    let mut rows = Vec::new();
    for shader in code(&["shaders"]) {
        let is_comment = |l: &&str| l.trim_start().starts_with("//") && !l.starts_with("//!include");
        let comments = shader.text.lines().filter(is_comment).count();
        rows.push((comments, shader.text.lines().count(), shader.path));
    }
    let (comments, lines) = rows.iter().fold((0, 0), |(c, l), row| (c + row.0, l + row.1));
    if comments * 100 < MIN_COMMENTS_PER_CENT * lines {
        rows.sort_by_key(|(comments, lines, _)| {
            (MIN_COMMENTS_PER_CENT * lines).saturating_sub(comments * 100)
        });
        let worst: Vec<_> =
            rows.iter().rev().take(8).map(|(c, l, path)| format!("{path}: {c} of {l}")).collect();
        panic!(
            "{comments} of {lines} lines of WGSL are comments, {MIN_COMMENTS_PER_CENT} in 100 wanted; furthest away:\n{}",
            worst.join("\n")
        );
    }
}

#[test]
fn nothing_is_left_open() {
    // Written apart, so that this file does not find itself.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimple", "mented!(")];
    refuse(&code(PLACES), |line| marks.into_iter().find(|mark| line.contains(mark)));
}

#[test]
fn no_path_of_one_machine() {
    // Written apart, as above. A path counts where it starts: behind a letter, `}` or `.` it is the end of another.
    let homes = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!(r":\Us", r"ers\"),
    ];
    refuse(&tracked(), |line| {
        homes.into_iter().find(|home| {
            line.match_indices(home).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                home.starts_with(':') || !before.is_some_and(|c| c.is_alphanumeric() || "}._-)".contains(c))
            })
        })
    });
}

/// The same seed draws the same street everywhere, which the standard library's mathematics does not promise.
#[test]
fn the_painter_goes_by_way_of_its_own_mathematics() {
    let mut painter = code(&["src/synth"]);
    painter.retain(|s| s.path != "src/synth/math.rs");
    assert!(painter.len() > 20);
    let calls = [
        "sin",
        "cos",
        "sin_cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "exp",
        "exp2",
        "ln",
        "log",
        "log2",
        "log10",
        "powi",
        "powf",
        "cbrt",
        "hypot",
        "from_angle",
        "mul_add",
    ];
    refuse(&painter, |line| {
        calls.into_iter().find(|call| {
            let called =
                |at: usize| line[..at].ends_with(['.', ':']) && line[at + call.len()..].starts_with('(');
            !line.contains("math::") && line.match_indices(call).any(|(at, _)| called(at))
        })
    });
}

#[test]
fn no_command_is_named_that_does_not_exist() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_protoseg"));
    let output = program.arg("--help").output().expect("the program starts");
    let help = String::from_utf8(output.stdout).expect("the help is UTF-8");
    let exists = |command: &str| help.lines().any(|l| l.split_whitespace().next() == Some(command));
    let mark = "`protoseg ";
    refuse(&sources(&["src", "README.md"]), |line| {
        let named = line.match_indices(mark).map(|(at, _)| {
            let rest = &line[at + mark.len()..];
            &rest[..rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len())]
        });
        named.filter(|name| !name.is_empty()).any(|name| !exists(name)).then_some(mark)
    });
}

/// Fails with every line in which `find` finds something.
fn refuse(sources: &[Source], find: impl Fn(&str) -> Option<&'static str>) {
    let mut found = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            if let Some(mark) = find(line) {
                found.push(format!("{}:{}: `{mark}`", source.path, index + 1));
            }
        }
    }
    assert!(found.is_empty(), "{} found\n{}", found.len(), found.join("\n"));
}
