//! Everything that a run needs to go on: weights, prototypes, momentum, step and best score, in one file per checkpoint,
//! written beside and renamed; the last few are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::Classes;
use crate::disk;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::{averaged_weight, is_gradient_sum, is_optimiser_state};
use crate::model_file::{self, ModelFile, Tensor};
use crate::proto::CollapseWatch;
use crate::tape::{self, Store};

use super::config::Config;

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    /// Steps done.
    pub step: u64,
    /// Best validation mIoU so far, -1 before the first evaluation.
    pub best_miou: f64,
    /// Collapses of prototypes that have been told.
    #[serde(default)]
    pub collapse: CollapseWatch,
    /// The configuration, every default filled in, as JSON: text, since a number that goes through f64 is another f32.
    config: String,
    /// Class names in order.
    classes: Vec<String>,
}

/// Keys that may differ when a run is resumed without changing what is computed.
const FREE: [&str; 14] = [
    "data.root",
    "data.train",
    "data.val",
    "data.val_images",
    "train.weights",
    "train.eval_first",
    "train.eval_every",
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
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
            collapse: CollapseWatch::default(),
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
        for (text, map) in [(&completed(&self.config), &mut then), (&now.config, &mut given)] {
            let value: Value = serde_json::from_str(text).map_err(|e| {
                Error::data(
                    out,
                    format!("its checkpoint's configuration is damaged ({e})"),
                    "start a new run",
                )
            })?;
            flatten(&value, "", map);
        }
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

/// A configuration as JSON with the defaults of keys that its version did not know yet, which did what the default does;
/// as it is where this version cannot read it.
fn completed(text: &str) -> String {
    let config = serde_json::from_str::<Config>(text).ok().and_then(|config| config.resolved().ok());
    config.and_then(|config| serde_json::to_string(&config).ok()).unwrap_or_else(|| text.to_owned())
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

/// Name of the only checkpoint in run folders of earlier versions.
const OLD_NAME: &str = "last.safetensors";

/// Where the run folder `out` holds its checkpoints.
pub(super) fn folder(out: &Path) -> PathBuf {
    out.join("checkpoints")
}

/// The steps and files of the checkpoints in the run folder `out`, the newest first; that of an earlier version, whose step
/// only the file knows, comes last.
fn list(out: &Path) -> Vec<(Option<u64>, PathBuf)> {
    let step = |name: &str| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse::<u64>().ok();
    let known = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let step = step(name);
        (step.is_some() || name == OLD_NAME).then_some((step, path))
    };
    let mut found: Vec<_> =
        disk::list(&folder(out)).unwrap_or_default().into_iter().filter_map(known).collect();
    found.sort();
    found.reverse();
    found
}

/// Whether the run folder `out` holds a checkpoint, whole or not.
#[must_use]
pub fn any(out: &Path) -> bool {
    !list(out).is_empty()
}

/// Writes the checkpoint of the run folder `out`: all that the store holds between two steps, as it lies on the
/// device. Then the `keep` newest stay, and none of a later step: those belong to steps that are being done again.
pub(super) async fn save(gpu: &Gpu, store: &Store, out: &Path, state: &State, keep: usize) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for name in store.names().filter(|name| !is_gradient_sum(name)) {
        let (shape, data) = store.read(gpu, name).await?;
        tensors.insert(name.to_owned(), Tensor { shape, data });
    }
    let folder = folder(out);
    disk::create_folders(&folder).map_err(|e| Error::io("create the folder", &folder, e))?;
    let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(state).unwrap_or_default())]);
    // Ten digits, so that the order of names is the order of steps.
    let path = folder.join(format!("step-{:010}.safetensors", state.step));
    model_file::write(path, &tensors, &metadata)?;
    let (later, kept): (Vec<_>, Vec<_>) =
        list(out).into_iter().partition(|(step, _)| step.is_some_and(|step| step > state.step));
    for (_, path) in later.into_iter().chain(kept.into_iter().skip(keep)) {
        disk::remove(&path).map_err(|e| Error::io("remove the old checkpoint", &path, e))?;
    }
    Ok(())
}

/// The newest checkpoint of the run folder `out` that can be read, what it says of its run, and a sentence for each newer
/// one that cannot.
///
/// # Errors
/// What is wrong with the newest where none can be read; [`Error::Data`] where there is none.
pub(super) fn newest(out: &Path) -> Result<(ModelFile, State, Vec<String>)> {
    let mut damaged: Vec<Error> = Vec::new();
    for (_, path) in list(out) {
        match read(&path) {
            Ok((file, state)) => {
                let told = |error| match error {
                    Error::Model { path, problem, .. } => format!(
                        "checkpoint `{}` {problem}: going on from that of step {}, with the same result",
                        path.display(),
                        state.step
                    ),
                    other => format!("{other}: going on from the checkpoint of step {}", state.step),
                };
                let warnings = damaged.into_iter().map(told).collect();
                return Ok((file, state, warnings));
            }
            Err(error) => damaged.push(error),
        }
    }
    Err(damaged.into_iter().next().unwrap_or_else(|| {
        let remedy = "give the folder of a run that was interrupted, or leave --resume out";
        Error::data(out, "this folder holds no checkpoint", remedy)
    }))
}

/// Reads a checkpoint and what it says of its run.
fn read(path: &Path) -> Result<(ModelFile, State)> {
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
/// checkpoint did not have starts at zero, and averages that it does not have are left out.
pub(super) fn load(gpu: &Gpu, store: &mut Store, wanted: &[tape::Value], file: &ModelFile) -> Result<()> {
    for value in wanted.iter().filter(|value| !is_gradient_sum(&value.name)) {
        let may_start = is_optimiser_state(&value.name) || averaged_weight(&value.name).is_some();
        if may_start && !file.contains(&value.name) {
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
    fn a_run_from_before_a_key_existed_did_what_its_default_does() {
        let config: Config = toml::from_str("[data]\nroot = \"street\"").expect("a configuration");
        let classes = Classes::parse(r#"{"classes": [{"id": 0, "name": "a"}]}"#).expect("valid classes");
        let mut state = State::new(3, 0.5, &config, &classes).expect("valid");
        let mut old: Value = serde_json::from_str(&state.config).expect("JSON");
        for (section, key) in [
            ("model", "neck"),
            ("model", "hrnet_upsampling"),
            ("train", "betas"),
            ("augment", "hue"),
            ("head", "merge_cosine"),
            ("data", "label_map"),
        ] {
            old[section].as_object_mut().expect("a section").remove(key).expect("a key");
        }
        state.config = old.to_string();
        assert_eq!(
            state.compare(&config, &classes, Path::new("run")).expect("the same"),
            Vec::<String>::new()
        );
        old["model"]["width"] = Value::from(20);
        state.config = old.to_string();
        let error =
            state.compare(&config, &classes, Path::new("run")).expect_err("another width").to_string();
        assert!(error.contains("model.width was 20 and is 128"), "{error}");
    }

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
