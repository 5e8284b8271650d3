//! Model files for others: smaller ones.

use std::path::Path;

use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use crate::model_file::{self, Tensor};

use super::file::read_spec;
use super::record::PROTOTYPES;

/// How the weights of an exported model are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they were trained.
    F32,
    /// Kernels of convolutions and other matrices rounded to 16 bits; what there is one of per channel (norms, biases), and the
    /// prototypes, stay as they are: they are few, and running variances can be smaller than 16 bits tell apart.
    F16,
}

/// How much of a model is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it, with its description.
    Model,
    /// The tensors of the backbone alone, under the names that the library has for them which it comes from (torchvision, timm,
    /// Hugging Face).
    Backbone,
}

/// Copies `part` of the model file `from` to `to`; the same model gives the same bytes.
///
/// # Errors
/// [`Error::Model`] for a file that is no model, and for a weight that 16 bits do not reach; [`Error::Config`] where both are one
/// file; [`Error::Io`] where the file cannot be written.
pub fn export_model(from: &Path, to: &Path, part: Part, precision: Precision) -> Result<()> {
    let file = model_file::read(from)?;
    let arch = read_spec(&file)?.net.arch;
    refuse_itself(from, to)?;
    let mut tensors = file.tensors()?;
    let mut metadata = file.metadata().clone();
    if part == Part::Backbone {
        tensors.retain(|name, _| arch.owns(name) || arch.may_own(name));
        // transformers reads no file that does not say whose order of axes its tensors have.
        metadata =
            [("arch", arch.name()), ("format", "pt")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    }
    let is_half = |name: &str, tensor: &Tensor| {
        precision == Precision::F16 && tensor.shape.len() > 1 && name != PROTOTYPES
    };
    for (name, tensor) in tensors.iter().filter(|(name, tensor)| is_half(name, tensor)) {
        let most = f32::from(half::f16::MAX);
        if let Some(value) = tensor.data.iter().find(|value| value.abs() > most) {
            let problem = format!("`{name}` holds {value}, and 16 bits end at {most}");
            return Err(Error::model(from, problem, "export it with --dtype f32"));
        }
    }
    write_atomic(to, &model_file::encode_with(&tensors, &metadata, is_half)?)
}

/// Refuses to write the file `to` over the model or weights `from` that it is made of.
///
/// # Errors
/// [`Error::Config`] where both are one file.
pub fn refuse_itself(from: &Path, to: &Path) -> Result<()> {
    if disk::real(to).is_ok_and(|to| disk::real(from).is_ok_and(|from| from == to)) {
        let problem = format!("`{}` is the file that is read", to.display());
        return Err(Error::config(
            problem,
            "give another file to write, so that the trained weights are kept",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model_file::Tensors;
    use crate::testing::TempDir;

    /// A file with this tensor and the description of a model.
    fn model(dir: &TempDir, name: &str, tensor: Tensor) -> std::path::PathBuf {
        let spec = super::super::file::tests::spec();
        let path = dir.join(name);
        let tensors = Tensors::from([
            ("a.weight".to_owned(), tensor),
            ("b.bias".to_owned(), Tensor { shape: vec![3], data: vec![1e-9, 0.1, 1e30] }),
            (PROTOTYPES.to_owned(), Tensor { shape: vec![1, 1, 3], data: vec![0.1, 0.2, 0.3] }),
        ]);
        super::super::file::write_model(&tensors, &spec, &path).expect("written");
        path
    }

    #[test]
    fn matrices_are_halved_and_the_rest_stays() {
        let dir = TempDir::new("export");
        let weights = Tensor { shape: vec![3, 1], data: vec![0.1, -2.0, 3.3e-5] };
        let (from, half, whole) = (model(&dir, "m", weights), dir.join("half"), dir.join("whole"));
        export_model(&from, &half, Part::Model, Precision::F16).expect("exported");
        export_model(&from, &whole, Part::Model, Precision::F32).expect("exported");
        let bytes = |path| std::fs::read(path).expect("a file");
        assert!(bytes(&whole) == bytes(&from));
        let [old, new] = [&from, &half].map(|path| model_file::read(path).expect("a model"));
        for name in ["b.bias", PROTOTYPES] {
            assert_eq!(old.f32(name).expect("there"), new.f32(name).expect("there"));
        }
        let rounded = new.f32("a.weight").expect("there");
        // 11 bits of fraction; below 2^-14 steps of 2^-24.
        for (old, new) in old.f32("a.weight").expect("there").iter().zip(&rounded) {
            assert!((old - new).abs() <= (old.abs() * 4.9e-4).max(3e-8), "{old} became {new}");
        }
        assert!(rounded[0] != 0.1 && rounded[1] == -2.0, "{rounded:?}");
        assert_eq!(old.metadata(), new.metadata());
        assert_eq!(new.names().collect::<Vec<_>>(), old.names().collect::<Vec<_>>());
        assert!(bytes(&half).len() < bytes(&from).len());
    }

    #[test]
    fn a_backbone_alone_keeps_its_names_and_nothing_else() {
        let dir = TempDir::new("export-backbone");
        let (from, to) = (dir.join("m"), dir.join("backbone"));
        let tensor = |value| Tensor { shape: vec![2, 1], data: vec![value, 0.1] };
        let tensors = Tensors::from([
            ("features.0.0.weight".to_owned(), tensor(1.0)),
            ("head.proj.0.weight".to_owned(), tensor(2.0)),
            (PROTOTYPES.to_owned(), tensor(3.0)),
        ]);
        super::super::file::write_model(&tensors, &super::super::file::tests::spec(), &from)
            .expect("written");
        export_model(&from, &to, Part::Backbone, Precision::F32).expect("exported");
        let file = model_file::read(&to).expect("a file");
        assert_eq!(file.names().collect::<Vec<_>>(), ["features.0.0.weight"]);
        assert_eq!(file.tensors().expect("tensors")["features.0.0.weight"], tensor(1.0));
        assert_eq!(file.metadata().get("arch").map(String::as_str), Some("mobilenet_v2"));
    }

    #[test]
    fn what_cannot_be_exported_is_answered_in_words() {
        let dir = TempDir::new("export-bad");
        let from = model(&dir, "m", Tensor { shape: vec![1, 1], data: vec![7e4] });
        let message = |from: &Path, to: &Path| {
            export_model(from, to, Part::Model, Precision::F16).expect_err("refused").to_string()
        };
        let large = message(&from, &dir.join("out"));
        assert!(large.contains("`a.weight` holds 70000") && large.contains("--dtype f32"), "{large}");
        assert!(message(&from, &from).contains("is the file that is read"));
        let plain = dir.join("plain");
        model_file::write(&plain, &Tensors::new(), &BTreeMap::new()).expect("written");
        assert!(message(&plain, &dir.join("out")).contains("no protoseg model"));
        assert!(!dir.join("out").exists());
    }
}
