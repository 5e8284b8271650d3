//! Everything that a run needs to go on: weights, prototypes, momentum, step and best score, in one file written beside
//! and renamed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::VELOCITY;
use crate::model_file::{self, Tensor};
use crate::tape::{Store, Value};

/// What a checkpoint says beside its tensors.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    /// Steps done.
    pub step: u64,
    /// Best validation mIoU so far, -1 before the first evaluation.
    pub best_miou: f64,
}

const KEY: &str = "protoseg_checkpoint";

/// Where the run folder `out` holds its checkpoint.
pub(super) fn path(out: &Path) -> PathBuf {
    out.join("checkpoints/last.safetensors")
}

/// Writes the checkpoint of the run folder `out`: all that the store holds, as it lies on the device.
pub(super) async fn save(gpu: &Gpu, store: &Store, out: &Path, state: State) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for name in store.names() {
        let (shape, data) = store.read(gpu, name).await?;
        tensors.insert(name.to_owned(), Tensor { shape, data });
    }
    let path = path(out);
    let folder = path.parent().unwrap_or(out);
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
    let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(&state).unwrap_or_default())]);
    model_file::write(path, &tensors, &metadata)
}

/// Puts a checkpoint's tensors into the store: every one of `wanted`, except that momentum which the phase of the
/// checkpoint did not have starts at zero.
pub(super) fn load(gpu: &Gpu, store: &mut Store, wanted: &[Value], path: &Path) -> Result<State> {
    let file = model_file::read(path)?;
    let state = file.metadata().get(KEY).and_then(|text| serde_json::from_str(text).ok());
    let state = state.ok_or_else(|| {
        Error::model(
            path,
            "it is not a checkpoint of this program",
            "give the run folder that holds one with --out",
        )
    })?;
    for value in wanted {
        if value.name.starts_with(VELOCITY) && !file.contains(&value.name) {
            continue;
        }
        let tensor = file.get(&value.name, &value.shape)?;
        store.set(gpu, value, &tensor.data)?;
    }
    Ok(state)
}
