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
    write_model(&weights.tensors(gpu, store).await?, spec, path)
}

/// Writes a model of weights on the host.
///
/// # Errors
/// Those of the file system.
pub fn write_model(tensors: &model_file::Tensors, spec: &ModelSpec, path: &Path) -> Result<()> {
    let json = serde_json::to_string(spec)
        .map_err(|e| Error::model(path, format!("its description cannot be written ({e})"), "report this"))?;
    model_file::write(path, tensors, &BTreeMap::from([(KEY.to_owned(), json)]))
}

/// Takes a model's spec out of `file` and puts its weights into `store`; `weights` catalogues them for the spec.
///
/// # Errors
/// [`Error::Model`] for a file that is no model of ours or lacks a tensor.
pub fn load_model(
    gpu: &Gpu,
    store: &mut Store,
    file: &model_file::ModelFile,
    weights: impl FnOnce(&ModelSpec) -> Result<Weights>,
) -> Result<ModelSpec> {
    let spec = read_spec(file)?;
    weights(&spec)?.load(gpu, store, file, |_| true)?;
    Ok(spec)
}

/// The spec in a model file's metadata.
///
/// # Errors
/// [`Error::Model`] if there is none, or it is damaged or holds what no configuration could.
pub fn read_spec(file: &model_file::ModelFile) -> Result<ModelSpec> {
    let remedy = "give a model that `protoseg train` wrote (last.safetensors or best.safetensors)";
    let json = file.metadata().get(KEY);
    let json =
        json.ok_or_else(|| Error::model(file.path(), "it holds tensors but no protoseg model", remedy))?;
    let damaged =
        |reason: String| Error::model(file.path(), format!("its description is damaged ({reason})"), remedy);
    let spec: ModelSpec = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
    spec.check().map_err(|e| match e {
        Error::Config { problem, remedy: wanted } => damaged(format!("{problem}: {wanted}")),
        other => other,
    })?;
    Ok(spec)
}

/// Puts pretrained backbone weights into `store`.
///
/// # Errors
/// [`Error::Model`] for a missing tensor or one of another shape, and for residual networks without the last layer that say
/// how to do without it.
pub fn load_backbone(gpu: &Gpu, store: &mut Store, weights: &Weights, arch: Arch, path: &Path) -> Result<()> {
    let file = model_file::read(path)?;
    let of_file = arch.strides(|name| file.contains(name));
    let of_network = arch.strides(|name| weights.0.iter().any(|entry| entry.name == name));
    if of_file.len() < of_network.len() && file.contains("layer3.0.conv1.weight") {
        return Err(Error::model(
            path,
            "it ends with layer3 and the network has a layer4",
            "set model.output_stride = 32 and model.taps up to 16, which leave layer4 out",
        ));
    }
    weights.load(gpu, store, &file, |name| arch.owns(name) || arch.may_own(name) && file.contains(name))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::data::{Classes, Normalisation};
    use crate::head::HeadOptions;
    use crate::model::{NetOptions, Provenance};
    use crate::proto::{Balance, Profile, PrototypeInit};

    /// A description with one class.
    pub fn spec() -> ModelSpec {
        ModelSpec {
            net: NetOptions::default(),
            head: HeadOptions::profile(Profile::Rec),
            classes: Classes::parse(r#"{"classes": [{"id": 0, "name": "a"}]}"#).expect("valid classes"),
            normalisation: Normalisation::default(),
            provenance: Provenance { crop: [32, 48], ..Provenance::default() },
        }
    }

    /// Reads the description of a model after `change`.
    fn read(change: impl FnOnce(&mut Value)) -> Result<ModelSpec> {
        let mut json = serde_json::to_value(spec()).expect("JSON");
        change(&mut json);
        let metadata = BTreeMap::from([(KEY.to_owned(), json.to_string())]);
        let bytes = model_file::encode(&model_file::Tensors::new(), &metadata)?;
        read_spec(&model_file::ModelFile::from_bytes("m.safetensors", bytes)?)
    }

    #[test]
    fn a_description_from_before_prototypes_could_start_from_pixels_is_read() {
        let old = |spec: &mut Value| {
            let head = spec.pointer_mut("/head").and_then(Value::as_object_mut).expect("options");
            head.remove("prototype_init").expect("an option");
            head.remove("revive_every").expect("an option");
            head.remove("merge_cosine").expect("an option");
            head.remove("sinkhorn_balance").expect("an option");
            let net = spec.pointer_mut("/net").and_then(Value::as_object_mut).expect("options");
            net.remove("neck").expect("an option");
            net.remove("hrnet_upsampling").expect("an option");
        };
        let ModelSpec { net, head, .. } = read(old).expect("a good description");
        assert_eq!((net.neck, net.hrnet_upsampling), (crate::nn::Neck::Mix, crate::nn::Upsampling::Align));
        assert_eq!((head.prototype_init, head.revive_every), (PrototypeInit::Random, 0));
        assert_eq!((head.sinkhorn_balance, head.merge_cosine), (Balance::Balanced, 0.0));
    }

    #[test]
    fn a_description_that_no_configuration_could_give_is_refused() {
        assert_eq!(read(|_| ()).expect("a good description").provenance.crop, [32, 48]);
        let wrong = [
            ("/net/taps", json!([]), "model.taps is []"),
            ("/net/taps", json!([64]), "model.taps is [64]"),
            ("/net/prototypes", json!(0), "model.prototypes is 0"),
            ("/net/output_stride", json!(7), "model.output_stride is 7"),
            ("/head/kappa", json!(0.0), "head.kappa is 0"),
            ("/head/ce_tau", json!(-1.0), "head.ce_tau is -1"),
            ("/normalisation/std", json!([0, 0, 0]), "std [0.0, 0.0, 0.0]"),
            ("/classes/classes", json!([]), "names no class"),
            ("/provenance/crop", json!([0, 0]), "provenance.crop is [0, 0]"),
            ("/provenance/crop", json!([32, 1_000_000]), "provenance.crop is [32, 1000000]"),
        ];
        for (place, value, part) in wrong {
            let outcome = read(|spec| *spec.pointer_mut(place).expect(place) = value);
            let message = outcome.expect_err(place).to_string();
            assert!(
                message.starts_with("model file `m.safetensors`: its description is damaged ("),
                "{message}"
            );
            assert!(message.contains(part) && !message.contains('\n'), "{part}: {message}");
        }
    }
}
