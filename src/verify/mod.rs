//! `protoseg verify`: golden and parity files on this adapter.
//!
//! A golden file holds one training step of the head in three profiles, computed by the published code in f64; a parity
//! file holds a backbone's feature maps of a picture. Both are compared with what the device computes from the same inputs,
//! through the functions that record training and inference.

mod compare;
mod golden;
mod parity;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::head::HeadOptions;
use crate::model_file;
use crate::nn::Arch;

pub use report::{FileReport, TensorReport, Verification};

/// Compares `files` with the device of `gpu`. `backbone` is the weights file and architecture that parity files need.
///
/// A file that cannot be read, is of neither kind, belongs to another architecture, is a parity file while there is no
/// backbone, or that the device refuses, is reported with [`FileReport::error`]; the others are compared all the same.
pub async fn verify(gpu: &Arc<Gpu>, files: &[PathBuf], backbone: Option<(PathBuf, Arch)>) -> Verification {
    verify_each(gpu, files, backbone, &mut |_| {}).await
}

/// As [`verify`]; `progress` is told of every file when it is done.
pub async fn verify_each(
    gpu: &Arc<Gpu>,
    files: &[PathBuf],
    backbone: Option<(PathBuf, Arch)>,
    progress: &mut dyn FnMut(&FileReport),
) -> Verification {
    let mut reports = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let report = match verify_file(gpu, path, backbone.as_ref()).await {
            Ok(tensors) => FileReport::new(name, tensors),
            Err(error) => FileReport::failed(name, &error),
        };
        progress(&report);
        reports.push(report);
    }
    Verification { files: reports, adapter: gpu.name().to_owned() }
}

/// Compares the golden file at `path` under options that `change` falsifies: what [`verify`] would say of a head with
/// that mistake. For tests of the comparison itself.
///
/// # Errors
/// [`Error::Io`] and [`Error::Model`] for a file that cannot be read or is none; those of the device.
pub async fn verify_changed(
    gpu: &Arc<Gpu>,
    path: &Path,
    change: &dyn Fn(&mut HeadOptions),
) -> Result<FileReport> {
    let tensors = golden::verify(gpu, model_file::read(path)?, change).await?;
    Ok(FileReport::new(path.display().to_string(), tensors))
}

async fn verify_file(
    gpu: &Arc<Gpu>,
    path: &Path,
    backbone: Option<&(PathBuf, Arch)>,
) -> Result<Vec<TensorReport>> {
    let file = model_file::read(path)?;
    if file.contains("in.features") {
        golden::verify(gpu, file, &|_| {}).await
    } else if file.contains("image_u8") || file.contains("input") {
        let Some((weights, arch)) = backbone else {
            let problem = "is a parity file, which needs the backbone's weights";
            let remedy = "give --weights WEIGHTS --arch ARCH, such as mobilenet_v2 or resnet18";
            return Err(Error::model(path, problem, remedy));
        };
        parity::verify(gpu, &file, weights, *arch).await
    } else {
        let problem = "is neither a golden file (with `in.features`) nor a parity file (with `image_u8`)";
        Err(Error::model(path, problem, "give files of reference data"))
    }
}
