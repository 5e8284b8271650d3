//! Averages of the weights over the steps (`train.ema`): what is evaluated and saved as the model, beside what is trained.
//!
//! Averaged is what moves: trained weights and the running statistics of batch norms. Prototypes are not: with their own momentum
//! they are running means of the embeddings already, over as many steps as the average of the weights that made those.

use crate::error::Result;
use crate::nn::Weights;
use crate::ops;
use crate::tape::{DType, Tape, Value, ValueId};

use super::record::PROTOTYPES;

/// The average of a weight is stored under this prefix plus the weight's name.
const AVERAGE: &str = "average/";

/// The name of the weight whose average is stored under `name`; `None` for anything else.
#[must_use]
pub fn averaged_weight(name: &str) -> Option<&str> {
    name.strip_prefix(AVERAGE)
}

/// What the average of the weight `name` is stored under.
#[must_use]
pub fn average_name(name: &str) -> String {
    format!("{AVERAGE}{name}")
}

/// The entries of `weights` that a step moves: those of `trained`, and what nodes of `tape` write.
pub(super) fn moving(tape: &Tape, weights: &Weights, trained: &[ValueId]) -> Vec<Value> {
    let written: Vec<&str> = tape
        .nodes()
        .iter()
        .flat_map(|node| &node.outputs)
        .chain(trained)
        .map(|&id| tape.value(tape.root(id)))
        .filter(|value| value.is_stored())
        .map(|value| &value.name[..])
        .collect();
    let names = weights.0.iter().map(|entry| &entry.name[..]);
    let moves = |name: &&str| *name != PROTOTYPES && written.contains(name);
    names.filter(moves).filter_map(|name| tape.find(name)).map(|id| tape.value(id).clone()).collect()
}

/// Records the update of the averages of `values` by what the step made of them.
pub(super) fn record_averages(tape: &mut Tape, values: &[Value], step: ValueId, decay: f32) -> Result<()> {
    for value in values {
        let weight = tape.stored(value);
        let average = tape.state(&average_name(&value.name), &value.shape, DType::F32);
        ops::ema(tape, weight, average, step, decay)?;
    }
    Ok(())
}
