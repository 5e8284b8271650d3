//! This browser's adapter against the `f64` oracle, and against files of reference data.

use std::path::PathBuf;

use js_sys::Function;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::fs_atomic::write_atomic;
use crate::nn::Arch;
use crate::ops::check;
use crate::ops::table::TABLE;
use crate::pause;
use crate::verify::{FileReport, verify as verify_files};

use super::failed;
use super::page::open_gpu;

#[derive(Serialize)]
struct Row {
    name: String,
    deviation: f64,
    tolerance: f64,
    passed: bool,
    note: Option<String>,
}

#[derive(Serialize)]
struct Report {
    file: String,
    adapter: String,
    passed: bool,
    tensors: Vec<Row>,
}

fn tell(progress: &Function, text: &str) {
    // What a page makes of it is its own affair.
    let _ = progress.call1(&JsValue::NULL, &text.into());
}

/// Every operation on this browser's adapter against the oracle, on the same random inputs of odd sizes as the library's tests;
/// `progress` hears in words how far it is. Answers JSON.
///
/// # Errors
/// There is no device.
#[wasm_bindgen]
pub async fn selftest(progress: &Function) -> Result<String, JsValue> {
    let gpu = open_gpu().await?;
    let mut tensors = Vec::new();
    for (number, row) in TABLE.iter().enumerate() {
        tell(progress, &format!("{} ({} of {})", row.stem, number + 1, TABLE.len()));
        for case in (row.cases)() {
            pause::breathe().await;
            let name = format!("{} [{}]", row.stem, case.name);
            match check::on_device(&case, &gpu).await {
                Ok(found) => tensors.extend(found.into_iter().map(|difference| Row {
                    name: format!("{name} {}", difference.name),
                    passed: difference.max_rel <= case.tolerance,
                    deviation: difference.max_rel,
                    tolerance: case.tolerance,
                    note: None,
                })),
                Err(problem) => tensors.push(Row {
                    name,
                    deviation: f64::MAX,
                    tolerance: case.tolerance,
                    passed: false,
                    note: Some(problem.to_string()),
                }),
            }
        }
    }
    let passed = tensors.iter().all(|row| row.passed);
    let report = Report { file: "operations".into(), adapter: gpu.name().to_owned(), passed, tensors };
    serde_json::to_string(&report).map_err(failed)
}

/// A golden file, or a parity file with the weights of its backbone, on this browser's adapter. Answers JSON.
///
/// # Errors
/// There is no device; the file cannot be compared.
#[wasm_bindgen]
pub async fn verify(name: &str, content: &[u8], weights: Option<Vec<u8>>) -> Result<String, JsValue> {
    let gpu = open_gpu().await?;
    let place = |part: &str| PathBuf::from("verify").join(part);
    let path = place(name);
    write_atomic(&path, content).map_err(failed)?;
    let backbone = match weights {
        Some(weights) => {
            let path = place("weights.safetensors");
            write_atomic(&path, &weights).map_err(failed)?;
            Some((path, Arch::MobilenetV2))
        }
        None => None,
    };
    let mut found = verify_files(&gpu, &[path], backbone).await;
    let FileReport { tensors, ok, error, .. } =
        found.files.pop().ok_or_else(|| failed("nothing was compared"))?;
    if let Some(problem) = error {
        return Err(failed(problem));
    }
    let row = |tensor: crate::verify::TensorReport| Row {
        deviation: tensor.deviation(),
        tolerance: tensor.tolerance,
        passed: tensor.ok,
        note: tensor.note,
        name: tensor.name,
    };
    let tensors = tensors.into_iter().map(row).collect();
    let report = Report { file: name.to_owned(), adapter: found.adapter, passed: ok, tensors };
    serde_json::to_string(&report).map_err(failed)
}
