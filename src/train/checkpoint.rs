//! Everything that a run needs to go on: weights, prototypes, momentum, step and best score, in one file written beside
//! and renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::Classes;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::head::HeadKind;
use crate::model::is_optimiser_state;
use crate::model_file::{self, ModelFile, Tensor};
use crate::tape::{self, Store};

use super::config::Config;

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    /// Steps done.
    pub step: u64,
    /// Best validation mIoU so far, -1 before the first evaluation.
    pub best_miou: f64,
    /// The configuration, every default filled in, as JSON: text, since a number that goes through f64 is another f32.
    config: String,
    /// Class names in order.
    classes: Vec<String>,
}

/// Keys that may differ when a run is resumed without changing what is computed.
const FREE: [&str; 13] = [
    "data.root",
    "data.train",
    "data.val",
    "data.val_images",
    "train.weights",
    "train.eval_first",
    "train.eval_every",
    "train.log_every",
    "train.checkpoint_every",
    "train.threads",
    "train.recompute",
    "train.memory_mib",
    "train.tensorboard",
];

impl State {
    pub(super) fn new(step: u64, best_miou: f64, config: &Config, classes: &Classes) -> Result<Self> {
        let config = serde_json::to_string(&config.resolved()?)
            .map_err(|e| Error::config(e.to_string(), "report this"))?;
        Ok(Self {
            step,
            best_miou,
            config,
            classes: classes.classes.iter().map(|c| c.name.clone()).collect(),
        })
    }

    /// Compares the run that wrote this with the one that is to go on from it: answers with what to warn of.
    ///
    /// # Errors
    /// [`Error::Data`] for `out` where classes, network or normalisation are others: the weights would mean something else.
    pub(super) fn compare(&self, config: &Config, classes: &Classes, out: &Path) -> Result<Vec<String>> {
        let now = Self::new(self.step, self.best_miou, config, classes)?;
        let refuse = |problem: String| {
            Err(Error::data(
                out,
                problem,
                "resume with what the run began with, or start a new run with another --out",
            ))
        };
        if self.classes != now.classes {
            let (then, now) = (self.classes.join(", "), now.classes.join(", "));
            return refuse(format!("the run's classes are {then}, and the data set's are {now}"));
        }
        let (mut then, mut given) = (BTreeMap::new(), BTreeMap::new());
        for (text, map) in [(&self.config, &mut then), (&now.config, &mut given)] {
            let value: Value = serde_json::from_str(text).map_err(|e| {
                Error::data(
                    out,
                    format!("its checkpoint's configuration is damaged ({e})"),
                    "start a new run",
                )
            })?;
            flatten(&value, "", map);
        }
        // Runs from before there was a choice.
        then.entry("head.kind".to_owned()).or_insert_with(|| HeadKind::default().name().into());
        let keys: BTreeSet<&String> = then.keys().chain(given.keys()).collect();
        let differ =
            keys.into_iter().filter(|key| !FREE.contains(&key.as_str()) && then.get(*key) != given.get(*key));
        let text = |map: &BTreeMap<String, Value>, key: &String| {
            map.get(key).map_or("nothing".into(), Value::to_string)
        };
        let mut warnings = Vec::new();
        for key in differ {
            let change = format!("{key} was {} and is {}", text(&then, key), text(&given, key));
            let other_network = ["model.", "normalisation.", "head.kind", "head.query_"];
            if other_network.iter().any(|part| key.starts_with(part)) {
                return refuse(change);
            }
            warnings.push(format!("{change}: from here on the run is not the one that was interrupted"));
        }
        Ok(warnings)
    }
}

/// The leaves of a JSON object by dotted key.
fn flatten(value: &Value, key: &str, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                flatten(value, &if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, out);
            }
        }
        leaf => {
            out.insert(key.to_owned(), leaf.clone());
        }
    }
}

const KEY: &str = "protoseg_checkpoint";

/// Where the run folder `out` holds its checkpoint.
pub(super) fn path(out: &Path) -> PathBuf {
    out.join("checkpoints/last.safetensors")
}

/// Writes the checkpoint of the run folder `out`: all that the store holds, as it lies on the device.
pub(super) async fn save(gpu: &Gpu, store: &Store, out: &Path, state: &State) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for name in store.names() {
        let (shape, data) = store.read(gpu, name).await?;
        tensors.insert(name.to_owned(), Tensor { shape, data });
    }
    let path = path(out);
    let folder = path.parent().unwrap_or(out);
    std::fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
    let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(state).unwrap_or_default())]);
    model_file::write(path, &tensors, &metadata)
}

/// Reads a checkpoint and what it says of its run.
pub(super) fn read(path: &Path) -> Result<(ModelFile, State)> {
    let file = model_file::read(path)?;
    let state = file.metadata().get(KEY).and_then(|text| serde_json::from_str(text).ok());
    let state = state.ok_or_else(|| {
        Error::model(
            path,
            "it is not a checkpoint of this version",
            "go on with the version that wrote it, or start a new run with another --out",
        )
    })?;
    Ok((file, state))
}

/// Puts a checkpoint's tensors into the store: every one of `wanted`, except that momentum which the phase of the
/// checkpoint did not have starts at zero.
pub(super) fn load(gpu: &Gpu, store: &mut Store, wanted: &[tape::Value], file: &ModelFile) -> Result<()> {
    for value in wanted {
        if is_optimiser_state(&value.name) && !file.contains(&value.name) {
            continue;
        }
        let tensor = file.get(&value.name, &value.shape)?;
        store.set(gpu, value, &tensor.data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_from_before_there_were_kinds_of_heads_goes_on() {
        let temp = crate::testing::TempDir::new("checkpoint-kind");
        let file = temp.path().join("config.toml");
        std::fs::write(&file, "data = { root = \"street\" }").expect("temporary folder");
        let load = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
            Config::load(&file, &sets).expect("valid configuration")
        };
        let classes = Classes::parse(r#"{"classes": [{"id": 0, "name": "a"}]}"#).expect("valid classes");
        let mut state = State::new(3, 0.5, &load(&[]), &classes).expect("written");
        state.config = state.config.replace("\"kind\":\"prototype\",", "");
        assert!(!state.config.contains("\"kind\""), "{}", state.config);
        let compare = |sets: &[&str]| state.compare(&load(sets), &classes, Path::new("run"));
        assert_eq!(compare(&[]).expect("the same run"), Vec::<String>::new());
        let text = compare(&["head.kind=softmax"]).expect_err("other weights").to_string();
        assert!(text.contains("head.kind was \"prototype\" and is \"softmax\""), "{text}");
    }
}
