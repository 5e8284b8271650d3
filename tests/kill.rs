//! A run that is killed at any moment and resumed ends in the files of one that was not, byte for byte.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protoseg::fs_atomic::is_leftover;
use protoseg::rng::Rng;
use support::{CONFIG, TempDir};

const STEPS: usize = 12;

/// Twice as many steps as other tests take, and a checkpoint after each: something is being written most of the time.
fn config() -> String {
    let longer = format!("steps = {STEPS}\ncheckpoint_every = 1\n");
    CONFIG.replace("steps = 6\n", &longer).replace("eval_every = 3", "eval_every = 4")
}

fn project(label: &str) -> TempDir {
    let temp = TempDir::new(label);
    protoseg::synth::write_dataset(&temp.path().join("street"), 5, 3, 64, 48).expect("street");
    fs::write(temp.path().join("c.toml"), config()).expect("temporary folder");
    temp
}

fn start(root: &Path, out: &str, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
    command.current_dir(root).args(["train", "c.toml", "--out", out]).args(more);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn finish(root: &Path, out: &str, more: &[&str]) -> Output {
    start(root, out, more).wait_with_output().expect("the program ends")
}

/// Runs to the end and returns what was told.
fn train(root: &Path, out: &str, more: &[&str]) -> String {
    let output = finish(root, out, more);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("checkpoints")).map_or(Vec::new(), Iterator::collect);
    let mut found: Vec<PathBuf> = entries.into_iter().map(|e| e.expect("an entry").path()).collect();
    found.sort();
    found
}

/// The steps of the lines of `log.jsonl` that tell a loss; every line must be whole.
fn logged(run: &Path) -> Vec<u64> {
    let text = fs::read_to_string(run.join("log.jsonl")).expect("log");
    let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("a whole line"));
    lines.filter(|l| l["event"] == "step").map(|l| l["step"].as_u64().expect("a number")).collect()
}

/// How many points of the loss TensorBoard finds: records of a length, its checksum, the data and their checksum.
fn points(run: &Path) -> usize {
    let tag = b"loss/total";
    let mut found = 0;
    for entry in fs::read_dir(run.join("tensorboard")).expect("a folder") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("events");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk().expect("a whole record");
            let length = u64::from_le_bytes(*length) as usize;
            assert!(behind.len() >= length + 8, "the last record is cut off");
            found += usize::from(behind[4..4 + length].windows(tag.len()).any(|part| part == tag));
            rest = &behind[length + 8..];
        }
    }
    found
}

#[track_caller]
fn same_files(root: &Path, whole: &str, other: &str) {
    let newest = |run: &str| checkpoints(&root.join(run)).last().expect("a checkpoint").clone();
    assert_eq!(newest(whole).file_name(), newest(other).file_name());
    same(newest(whole), newest(other));
    same_models(root, whole, other);
}

#[track_caller]
fn same_models(root: &Path, whole: &str, other: &str) {
    for name in ["last.safetensors", "best.safetensors"] {
        same(root.join(whole).join(name), root.join(other).join(name));
    }
}

#[track_caller]
fn same(a: PathBuf, b: PathBuf) {
    let same = fs::read(&a).expect("a file") == fs::read(&b).expect("a file");
    assert!(same, "{} differs from {}", b.display(), a.display());
}

/// Waits for `wait`, then, if `writing`, until a file is being written; at most until the program ends.
fn wait_for_the_moment(child: &mut Child, run: &Path, wait: Duration, writing: bool) {
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        let late = start.elapsed() >= wait;
        if late && (!writing || [run, &run.join("checkpoints")].into_iter().any(has_leftover)) {
            return;
        }
        std::thread::sleep(Duration::from_micros(if late { 50 } else { 1000 }));
    }
}

fn has_leftover(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.any(|e| e.is_ok_and(|e| is_leftover(&e.path()))))
}

#[test]
fn killed_at_any_moment_and_resumed_it_ends_in_the_same_bytes() {
    let temp = project("kill");
    let root = temp.path();
    let begin = Instant::now();
    train(root, "whole", &[]);
    let whole = begin.elapsed();
    // Other moments every time: what fails is told with its seed, which can be given again.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let seed = std::env::var("PROTOSEG_KILL_SEED").map_or(since, |text| text.parse().expect("a number"));
    println!("PROTOSEG_KILL_SEED={seed}, an uninterrupted run takes {whole:?}");
    let mut rng = Rng::new(seed, 0);
    let run = root.join("killed");
    let (mut killed, mut while_writing) = (0, 0);
    for round in 0..12 {
        // The first time at once or nearly so: before there is a checkpoint.
        let wait = whole.mul_f32(if round == 0 { 0.2 } else { 0.5 } * rng.uniform());
        // A run that was killed before it had a folder starts as a new one.
        let more: &[&str] = if run.is_dir() { &["--resume"] } else { &[] };
        let mut child = start(root, "killed", more);
        wait_for_the_moment(&mut child, &run, wait, round % 2 == 1);
        child.kill().expect("a child that can be killed");
        let output = child.wait_with_output().expect("a child that ends");
        let left = has_leftover(&run) || has_leftover(&run.join("checkpoints"));
        println!("round {round}: {wait:?}, {}, left half-written: {left}", output.status);
        while_writing += u32::from(left);
        if output.status.code().is_none() {
            killed += 1;
            continue;
        }
        // Done before it was killed: begin again.
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        check(root);
        fs::remove_dir_all(&run).expect("a folder");
    }
    assert!(killed >= 6 && while_writing >= 1, "{killed} runs were killed, {while_writing} while writing");
    train(root, "killed", if run.is_dir() { &["--resume"] } else { &[] });
    check(root);
}

/// The run in `killed` is that in `whole`, and its logs hold every step once.
#[track_caller]
fn check(root: &Path) {
    let run = root.join("killed");
    same_files(root, "whole", "killed");
    assert_eq!(logged(&run), (1..=STEPS as u64).collect::<Vec<_>>());
    assert_eq!(
        (points(&run), has_leftover(&run), has_leftover(&run.join("checkpoints"))),
        (STEPS, false, false)
    );
}

#[test]
fn a_damaged_checkpoint_is_told_and_the_one_before_is_taken() {
    let temp = project("damaged");
    let root = temp.path();
    let keep = ["--set", "train.keep_checkpoints=3"];
    train(root, "whole", &keep);
    let names = |run: &str| {
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        checkpoints(&root.join(run)).iter().filter_map(name).collect::<Vec<_>>()
    };
    let last_three = [10, 11, 12].map(|step| format!("step-{step:010}.safetensors"));
    assert_eq!(names("whole"), last_three);
    let run = root.join("run");
    train(root, "run", &keep);
    let resume = [&keep[..], &["--resume"]].concat();
    let cut = |path: &Path| {
        let bytes = fs::read(path).expect("a checkpoint");
        fs::write(path, &bytes[..bytes.len() / 2]).expect("a checkpoint");
    };
    // The two newest: the run goes on from the oldest, and does their steps again.
    checkpoints(&run)[1..].iter().for_each(|path| cut(path));
    let told = train(root, "run", &resume);
    let warnings: Vec<&str> = told.lines().filter(|l| l.starts_with("warning: checkpoint")).collect();
    assert!(warnings.len() == 2 && warnings[0].contains("from that of step 10"), "{told}");
    assert!(warnings[0].contains(&last_three[2]) && warnings[1].contains(&last_three[1]), "{told}");
    same_files(root, "whole", "run");
    assert_eq!(names("run"), last_three);
    // A run folder of earlier versions holds one checkpoint, under another name.
    let files = checkpoints(&run);
    fs::rename(&files[0], run.join("checkpoints/last.safetensors")).expect("a checkpoint");
    files[1..].iter().for_each(|file| fs::remove_file(file).expect("a checkpoint"));
    train(root, "run", &["--resume", "--set", "train.keep_checkpoints=1"]);
    // The checkpoint itself holds how many are kept.
    same_models(root, "whole", "run");
    assert_eq!(names("run"), last_three[2..]);
    checkpoints(&run).iter().for_each(|path| cut(path));
    let output = finish(root, "run", &resume);
    let told = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = told.lines().filter(|l| l.starts_with("error:")).collect();
    assert!(
        output.status.code() == Some(1) && errors.len() == 1 && errors[0].contains(&last_three[2]),
        "{told}"
    );
}
