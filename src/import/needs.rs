//! What a network needs, and what it can use: from its own recording, so that names and shapes are exact.

use crate::error::Result;
use crate::model::{ModelSpec, record_network};
use crate::nn::{Arch, Builder, Extent, Init, Mode, Weights};
use crate::tape::{DType, Tape};

/// Side of the image that networks are recorded on: a multiple of every stride and patch.
const SIDE: usize = 224;

/// A tensor that a network has.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// Its name.
    pub name: String,
    /// Its shape on disk.
    pub shape: Vec<usize>,
    /// Whether the network is nothing without it.
    pub required: bool,
    /// Whether it starts from its first values where the file has none, as is common.
    pub may_start_fresh: bool,
    /// Its first values.
    pub init: Init,
}

/// What the backbone `arch` has: its classifier, and layers deeper than a stride of 16, need not be there.
///
/// # Errors
/// Those of the shape rules.
pub fn of_backbone(arch: Arch) -> Result<Vec<Need>> {
    let whole = record(arch, 32)?;
    let shallow = record(arch, 16)?;
    let required = |name: &str| arch.owns(name) && shallow.0.iter().any(|entry| entry.name == name);
    Ok(needs(&whole, arch, required))
}

/// What the whole model of `spec` has, all of it required.
///
/// # Errors
/// Those of the shape rules.
pub fn of_model(spec: &ModelSpec) -> Result<Vec<Need>> {
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, SIDE, SIDE, 3], DType::F32);
    let step = tape.input("step", &[1], DType::U32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    record_network(&mut b, spec, image, step, 0, false)?;
    Ok(needs(&b.weights, spec.net.arch, |_| true))
}

fn record(arch: Arch, deepest: usize) -> Result<Weights> {
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, SIDE, SIDE, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let taps = arch.record(&mut b, image, Extent { output_stride: 32, deepest })?;
    if deepest == 32 {
        arch.record_classifier(&mut b, &taps)?;
    }
    Ok(b.weights)
}

fn needs(weights: &Weights, arch: Arch, required: impl Fn(&str) -> bool) -> Vec<Need> {
    let need = |entry: &crate::nn::Entry| Need {
        name: entry.name.clone(),
        shape: entry.disk_shape(),
        required: required(&entry.name),
        may_start_fresh: arch.may_own(&entry.name),
        init: entry.init,
    };
    weights.0.iter().map(need).collect()
}
