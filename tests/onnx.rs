//! The exported graph of a model in the repository, and its numbers where ONNX Runtime is at hand.

mod support;

use std::path::PathBuf;
use std::process::Command;

use protoseg::onnx::{Options, Output, export_onnx};
use support::root;

fn model() -> PathBuf {
    root().join("models/street-small.safetensors")
}

fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn the_same_model_gives_the_same_bytes_and_fewer_outputs_a_smaller_graph() {
    let folder = scratch("onnx-bytes");
    let write = |name: &str, options: &Options| {
        let written = export_onnx(&model(), &folder.join(name), options).expect("exported");
        (written, std::fs::read(folder.join(name)).expect("a file"))
    };
    let (whole, bytes) = write("a.onnx", &Options::default());
    assert_eq!(write("b.onnx", &Options::default()).1, bytes);
    assert_eq!(whole.size, [128, 192], "that of the training crops");
    let some = Options { size: Some([64, 96]), outputs: vec![Output::Classes] };
    let (small, _) = write("c.onnx", &some);
    assert!(small.nodes < whole.nodes && small.size == [64, 96], "{small:?} {whole:?}");
}

#[test]
fn the_command_line_says_what_does_not_go_together() {
    let folder = scratch("onnx-usage");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_protoseg"));
        let done = command.arg("export").arg(model()).args(args).current_dir(&folder).output().expect("run");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    assert_eq!(run(&["--out", "m.onnx", "--onnx", "--dtype", "f16"]).0, Some(2));
    assert_eq!(run(&["--out", "m.onnx", "--size", "64x96"]).0, Some(2), "--size is for --onnx");
    let (status, said) =
        run(&["--out", "m.onnx", "--onnx", "--size", "64x96", "--outputs", "classes,logits"]);
    assert!(status == Some(0) && said.contains("operators") && said.contains("64x96"), "{said}");
    assert!(folder.join("m.onnx").exists());
}

/// With the variable `PROTOSEG_ONNXRUNTIME` naming a Python that has onnxruntime.
#[test]
#[ignore = "needs a Python with onnxruntime, named by PROTOSEG_ONNXRUNTIME"]
fn onnx_runtime_computes_the_same() {
    let python = std::env::var_os("PROTOSEG_ONNXRUNTIME").expect("PROTOSEG_ONNXRUNTIME names a Python");
    let folder = scratch("onnx-runtime");
    let protoseg = env!("CARGO_BIN_EXE_protoseg");
    let street = folder.join("street");
    let drawn = Command::new(protoseg)
        .args(["synth", "--images", "4", "--seed", "5", "--size", "150x110", "--out"])
        .arg(&street)
        .status()
        .expect("drawn");
    assert!(drawn.success());
    let image =
        std::fs::read_dir(street.join("images/val")).expect("images").next().expect("one").expect("it");
    let check = Command::new(python)
        .arg(root().join("tests/reference/onnx_check.py"))
        .arg(protoseg)
        .arg(image.path())
        .arg(model())
        .arg(root().join("models/camvid-mobilenetv2.safetensors"))
        .status()
        .expect("run");
    assert!(check.success());
}
