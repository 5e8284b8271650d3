//! Model files: every weight and state of the network plus the spec as JSON in the metadata.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model_file;
use crate::nn::{Arch, Weights};
use crate::tape::Store;

use super::spec::ModelSpec;

/// Metadata key of the spec.
const KEY: &str = "protoseg";

/// Writes the model; the same weights give the same bytes.
///
/// # Errors
/// Those of the read-back and of the file system.
pub async fn save_model(
    gpu: &Gpu,
    store: &Store,
    weights: &Weights,
    spec: &ModelSpec,
    path: &Path,
) -> Result<()> {
    let tensors = weights.tensors(gpu, store).await?;
    let json = serde_json::to_string(spec)
        .map_err(|e| Error::model(path, format!("its description cannot be written ({e})"), "report this"))?;
    model_file::write(path, &tensors, &BTreeMap::from([(KEY.to_owned(), json)]))
}

/// Reads a model's spec and puts its weights into `store`; `weights` catalogues them for the spec.
///
/// # Errors
/// [`Error::Model`] for a file that is no model of ours or lacks a tensor.
pub fn load_model(
    gpu: &Gpu,
    store: &mut Store,
    path: &Path,
    weights: impl FnOnce(&ModelSpec) -> Result<Weights>,
) -> Result<ModelSpec> {
    let file = model_file::read(path)?;
    let spec = read_spec(&file)?;
    weights(&spec)?.load(gpu, store, &file, |_| true)?;
    Ok(spec)
}

/// The spec in a model file's metadata.
///
/// # Errors
/// [`Error::Model`] if there is none or it is damaged.
pub fn read_spec(file: &model_file::ModelFile) -> Result<ModelSpec> {
    let remedy = "give a model that `protoseg train` wrote (last.safetensors or best.safetensors)";
    let json = file.metadata().get(KEY);
    let json =
        json.ok_or_else(|| Error::model(file.path(), "it holds tensors but no protoseg model", remedy))?;
    serde_json::from_str(json)
        .map_err(|e| Error::model(file.path(), format!("its description is damaged ({e})"), remedy))
}

/// Puts pretrained backbone weights into `store`.
///
/// # Errors
/// [`Error::Model`] for a missing tensor or one of another shape.
pub fn load_backbone(gpu: &Gpu, store: &mut Store, weights: &Weights, arch: Arch, path: &Path) -> Result<()> {
    let file = model_file::read(path)?;
    weights.load(gpu, store, &file, |name| arch.owns(name))
}
