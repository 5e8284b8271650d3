//! Weights that people have, under the names that the networks here use.
//!
//! A file of weights (safetensors, or PyTorch's) is read without running anything of it, its names are recognised as those of one of the
//! known libraries, and what the network needs is written as a safetensors file in f32. Every tensor of the file is accounted for.

mod checkpoint;
mod fit;
mod names;
mod needs;
mod pickle;
mod report;
mod shape;
mod torch;
mod verdict;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, Result};
use crate::model::{ModelSpec, write_model};
use crate::model_file::{self, Tensor, Tensors};
use crate::nn::{Arch, Init};

use checkpoint::{Checkpoint, Header};
use fit::{Fit, Found, best};
use names::family_of;
use needs::Need;
use shape::{Part, values};

pub use names::{Change, Dialect, Family};
pub use report::{Counts, Renamed, Report, WrongShape};
pub use whole::import_model;

/// What came of reading a file for a network.
#[derive(Debug)]
pub struct Imported {
    /// What became of every tensor.
    pub report: Report,
    /// The network's tensors, or why there are none.
    pub tensors: Result<Tensors>,
    /// The description of a whole model.
    pub spec: Option<ModelSpec>,
}

/// Reads `source` as weights of the backbone `arch`.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Model`] where it is none that can be read, or no such file of weights
/// should be opened. What the network lacks is told by [`Imported::tensors`].
pub fn import(source: &Path, arch: Arch) -> Result<Imported> {
    let file = Checkpoint::open(source)?;
    let needs = needs::of_backbone(arch)?;
    let family = family_of(arch);
    let mut imported = read(&file, family, arch.name(), &needs)?;
    let error = if imported.tensors.is_ok() {
        verdict::deeper_arch(&file, arch, &imported.report)?
    } else {
        verdict::other_arch(&file, arch, &needs, &imported.report)?
    };
    if let Some(error) = error {
        imported.tensors = Err(error);
    }
    Ok(imported)
}

impl Imported {
    /// Writes the tensors, with a whole model's description as a model file, beside `out` and renames the file.
    ///
    /// # Errors
    /// That of [`Imported::tensors`]; [`Error::Io`] where the file cannot be written.
    pub fn write(self, out: &Path) -> Result<Report> {
        let Self { report, tensors, spec } = self;
        if let Some(spec) = spec {
            write_model(&tensors?, &spec, out)?;
            return Ok(report);
        }
        let metadata = [
            // What loaders of other programs ask for.
            ("format", "pt".to_owned()),
            ("arch", report.arch.clone()),
            ("source", report.source.clone()),
            ("names", report.names.to_owned()),
            ("imported_by", concat!("protoseg ", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        let metadata = BTreeMap::from(metadata.map(|(key, value)| (key.to_owned(), value)));
        model_file::write(out, &tensors?, &metadata)?;
        Ok(report)
    }
}

/// Reads `file` for a network of `family` that has `needs`.
fn read(file: &Checkpoint, family: Family, arch: &str, needs: &[Need]) -> Result<Imported> {
    let headers = file.headers();
    let Some(fit) = best(headers, family, needs) else {
        return Err(Error::model(file.path(), "holds no tensor", "give a file of weights"));
    };
    let name = |&(index, _): &(usize, Change)| headers[index].name.clone();
    let mut report = Report {
        source: file.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
        format: file.kind(),
        arch: arch.to_owned(),
        names: fit.dialect.source,
        prefix: fit.prefix.clone(),
        counts: Counts::default(),
        used: Vec::new(),
        renamed: Vec::new(),
        unused: Vec::new(),
        missing: Vec::new(),
        absent: Vec::new(),
        wrong_shape: Vec::new(),
        fresh: Vec::new(),
        notes: fit.dialect.note.iter().map(|note| (*note).to_owned()).collect(),
    };
    let complete = complete(&fit, needs);
    let mut taken = BTreeSet::new();
    for need in needs {
        match fit.found.get(&need.name) {
            Some(found) if found.serves => {
                taken.extend(found.parts.iter().map(|part| part.0));
                let from: Vec<String> = found.parts.iter().map(name).collect();
                if from == [need.name.clone()] && found.parts[0].1 == Change::Whole {
                    report.used.push(need.name.clone());
                } else {
                    let change = describe(&found.parts);
                    report.renamed.push(Renamed { from, to: need.name.clone(), change });
                }
            }
            Some(found) => report.wrong_shape.push(WrongShape {
                name: need.name.clone(),
                from: found.parts.iter().map(name).collect(),
                found: found.shape.clone(),
                needed: need.shape.clone(),
                required: complete(need),
            }),
            None if need.may_start_fresh => report.fresh.push(need.name.clone()),
            None if complete(need) => report.missing.push(need.name.clone()),
            None => report.absent.push(need.name.clone()),
        }
    }
    let unused = headers.iter().enumerate().filter(|(index, _)| !taken.contains(index));
    report.unused = unused.map(|(_, header)| header.name.clone()).collect();
    report.count();
    let required = needs.iter().filter(|need| complete(need)).count();
    let tensors = match verdict::flaw(file, &report, required) {
        Some(error) => Err(error),
        None => tensors(file, &fit, needs),
    };
    Ok(Imported { report, tensors, spec: None })
}

/// What tells of each need whether the network is nothing without it. Deep layers, which may be absent all together, are needed
/// as soon as one of their tensors is there.
fn complete<'a>(fit: &'a Fit, needs: &'a [Need]) -> impl Fn(&Need) -> bool + 'a {
    let layer = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let required: BTreeSet<_> =
        needs.iter().filter(|need| need.required).map(|need| layer(&need.name)).collect();
    let begun: BTreeSet<_> = needs
        .iter()
        .filter(|need| !need.required && need.name.starts_with("layer"))
        .filter(|need| fit.found.contains_key(&need.name))
        .map(|need| layer(&need.name))
        .filter(|layer| !required.contains(layer))
        .collect();
    move |need| need.required || begun.contains(&layer(&need.name))
}

/// What was done to a tensor's parts beside renaming them.
fn describe(parts: &[(usize, Change)]) -> String {
    match parts {
        [(_, Change::Slice { part, of })] => format!("part {} of {of}", part + 1),
        [(_, Change::MergeOrder)] => "reordered".into(),
        [(_, Change::ReverseInputs)] => "channels reversed".into(),
        [(_, Change::WithoutFirstToken)] => "without the class token's position".into(),
        [_, (_, Change::AddFirstToken)] => "with its position added".into(),
        [_] => String::new(),
        _ => "joined".into(),
    }
}

/// The network's tensors.
fn tensors(file: &Checkpoint, fit: &Fit, needs: &[Need]) -> Result<Tensors> {
    let mut tensors = Tensors::new();
    for need in needs {
        let tensor = match fit.found.get(&need.name) {
            Some(found) if found.serves => assemble(file, need, found)?,
            None if need.may_start_fresh => {
                let Init::Constant(value) = need.init else { continue };
                let count = need.shape.iter().product();
                Tensor { shape: need.shape.clone(), data: vec![value; count] }
            }
            _ => continue,
        };
        if let Some(bad) = tensor.data.iter().position(|x| !x.is_finite()) {
            let problem = format!("`{}` holds {} at element {bad}", need.name, tensor.data[bad]);
            return Err(Error::model(file.path(), problem, "use weights that were saved by a healthy run"));
        }
        tensors.insert(need.name.clone(), tensor);
    }
    Ok(tensors)
}

/// Makes one tensor of its parts.
fn assemble(file: &Checkpoint, need: &Need, found: &Found) -> Result<Tensor> {
    let headers = file.headers();
    let mut parts = Vec::new();
    for &(index, change) in &found.parts {
        let Header { name, shape, .. } = &headers[index];
        parts.push(Part { shape, change, content: file.values(name)? });
    }
    let data = values(parts);
    // Axes of length 1 are the network's; another number of positions is the file's.
    let same = need.shape.iter().product::<usize>() == data.len();
    let shape = if same { &need.shape } else { &found.shape };
    Ok(Tensor { shape: shape.clone(), data })
}
