//! Runs a case on the device and on the oracle and compares them node by node, and the oracle's gradients with finite
//! differences. The kernel test and the gradient test are this one mechanism.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::{Caps, Gpu, Tiles};
use crate::rng::Rng;
use crate::tape::{DType, Keep, Memory, Plan, Program, Role, Store, Tape, Value, ValueId, unpack};

use super::Sums;
use super::table::{Case, Fill, Input};

/// The worst difference found in one tensor.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Difference {
    /// The value's label.
    pub name: String,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// The same over the reference's largest magnitude.
    pub max_rel: f64,
    /// Where it is (flat index).
    pub index: usize,
    /// Whether the tensor holds whole numbers, which must be equal.
    pub whole: bool,
}

/// Compares `found` with `wanted`; NaN differs from everything but NaN. Nothing but 0 is near a tensor of zeros.
#[must_use]
pub fn difference(name: &str, found: &[f64], wanted: &[f64]) -> Difference {
    difference_of_terms(name, found, wanted, 0.0)
}

/// [`difference`], where a tensor of zeros is the rest of `terms` of that size that cancel.
fn difference_of_terms(name: &str, found: &[f64], wanted: &[f64], terms: f64) -> Difference {
    let largest = wanted.iter().filter(|x| x.is_finite()).fold(0.0_f64, |m, x| m.max(x.abs()));
    let scale = if largest == 0.0 { terms } else { largest };
    let mut worst = (0.0, 0);
    for (index, (&f, &w)) in std::iter::zip(found, wanted).enumerate() {
        let same = f == w || (f.is_nan() && w.is_nan());
        let distance = if same { 0.0 } else { (f - w).abs() };
        let distance = if distance.is_nan() { f64::INFINITY } else { distance };
        if distance > worst.0 {
            worst = (distance, index);
        }
    }
    if found.len() != wanted.len() {
        worst.0 = f64::INFINITY;
    }
    let max_rel = if worst.0 == 0.0 { 0.0 } else { worst.0 / scale.max(f64::MIN_POSITIVE) };
    Difference { name: name.to_owned(), max_abs: worst.0, max_rel, index: worst.1, whole: false }
}

/// A recorded case: the tape, its inputs with their content, the outputs with their seeds, the gradients.
pub struct Recorded {
    /// The tape, gradients included.
    pub tape: Tape,
    /// Inputs, weights and state with their content, upstream gradients last.
    pub inputs: Vec<(ValueId, Vec<f64>)>,
    /// The case's outputs with their upstream gradients.
    pub outputs: Vec<(ValueId, Vec<f64>)>,
    /// What has its gradient checked, and the gradient.
    pub grads: Vec<(ValueId, Option<ValueId>)>,
    /// As in [`Case`].
    pub terms: f64,
}

/// Records `case` with random upstream gradients on its outputs. Weights and state that it asks for are filled at random
/// too, and the gradient of every weight that no node overwrites is checked as an input's is.
///
/// # Errors
/// Those of recording.
pub fn record(case: &Case) -> Result<Recorded> {
    let mut tape = Tape::new();
    let mut inputs = Vec::new();
    for (index, input) in case.inputs.iter().enumerate() {
        let id = tape.input(&format!("input{index}"), &input.shape, input.dtype);
        inputs.push((id, content(input, index as u32)));
    }
    let ids: Vec<_> = inputs.iter().map(|i| i.0).collect();
    let results = (case.record)(&mut tape, &ids)?;
    let mut targets: Vec<_> =
        std::iter::zip(&case.inputs, &ids).filter(|(i, _)| i.grad).map(|(_, &id)| id).collect();
    let written = |id: ValueId| tape.nodes().iter().any(|n| n.outputs.iter().any(|&o| tape.root(o) == id));
    targets.extend(tape.params().into_iter().filter(|&id| !written(id)));
    for value in tape.values().iter().filter(|v| matches!(v.role, Role::Param | Role::State)) {
        let id = tape.find(&value.name).expect("it is on the tape");
        let fill = Input::fixed(&value.shape, Fill::Uniform(-0.5, 0.5));
        inputs.push((id, content(&fill, 2000 + inputs.len() as u32)));
    }
    let mut seeds = Vec::new();
    let mut outputs = Vec::new();
    for (index, &id) in results.iter().enumerate() {
        let shape = tape.value(id).shape.clone();
        let data = content(&Input::fixed(&shape, Fill::Uniform(-1.0, 1.0)), 1000 + index as u32);
        if !targets.is_empty() {
            let seed = tape.input(&format!("seed{index}"), &shape, DType::F32);
            seeds.push((id, seed));
            inputs.push((seed, data.clone()));
        }
        outputs.push((id, data));
    }
    let grads = tape.backward(&seeds, &targets, &Sums)?;
    Ok(Recorded { tape, inputs, outputs, grads: targets.into_iter().zip(grads).collect(), terms: case.terms })
}

/// Random content of an input, exact in `f32`.
fn content(input: &Input, stream: u32) -> Vec<f64> {
    let mut rng = Rng::new(0x5eed, stream);
    let count: usize = input.shape.iter().product();
    let width = input.shape.last().copied().unwrap_or(1);
    match &input.fill {
        Fill::Uniform(low, high) => (0..count).map(|_| f64::from(rng.range(*low, *high))).collect(),
        Fill::Away(points) => (0..count)
            .map(|_| {
                loop {
                    let x = rng.range(-1.0, 1.0);
                    if x.abs() > 0.05 && points.iter().all(|p| (x - p).abs() > 0.05) {
                        break f64::from(x);
                    }
                }
            })
            .collect(),
        Fill::UnitRows => {
            let mut data: Vec<f64> = (0..count).map(|_| f64::from(rng.normal())).collect();
            for row in data.chunks_mut(width) {
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter_mut().for_each(|x| *x = f64::from((*x / norm) as f32));
            }
            data
        }
        Fill::Integers { count: below, ignored } => (0..count)
            .map(|_| if rng.chance(*ignored) { -1.0 } else { f64::from(rng.below(*below as u32)) })
            .collect(),
        Fill::Values(values) => values.iter().map(|&x| f64::from(x)).collect(),
        Fill::Words(words) => words.iter().map(|&x| f64::from(x)).collect(),
    }
}

fn memory(recorded: &Recorded) -> Memory {
    let mut memory = Memory::new();
    for (id, data) in &recorded.inputs {
        memory.set(&recorded.tape, *id, data.clone());
    }
    memory
}

/// Runs the case on the device and compares every node with the oracle fed by the device's own values, so that a
/// difference is that node's alone. Returns one [`Difference`] per value written: infinite for whole numbers that are not
/// equal. What a node left in the padding lanes, which must be zero, counts as a value of its own.
///
/// # Errors
/// Those of recording and of the device.
pub async fn on_device(case: &Case, gpu: &Arc<Gpu>) -> Result<Vec<Difference>> {
    compare(&record(case)?, gpu, gpu.caps()).await.map(|found| found.0)
}

/// [`on_device`] with inputs and seeds that 16 bits hold exactly, so that kernels that round to `f16` have nothing to round.
///
/// # Errors
/// As [`on_device`].
pub async fn on_device_in_half(case: &Case, gpu: &Arc<Gpu>) -> Result<Vec<Difference>> {
    let mut recorded = record(case)?;
    for (_, data) in &mut recorded.inputs {
        data.iter_mut().for_each(|x| *x = half(*x));
    }
    compare(&recorded, gpu, gpu.caps()).await.map(|found| found.0)
}

/// The bits of everything that the case writes with these tiles, as numbers.
///
/// # Errors
/// As [`on_device`].
pub async fn with_tiles(case: &Case, gpu: &Arc<Gpu>, tiles: Tiles) -> Result<Vec<Vec<f64>>> {
    let caps = Caps { tiles, ..gpu.caps().clone() };
    compare(&record(case)?, gpu, &caps).await.map(|found| found.1)
}

/// The nearest number with 11 significant bits, 0 below the smallest normal `f16`.
fn half(x: f64) -> f64 {
    let (x, low) = (x as f32, 6.2e-5);
    // Dekker's splitting: the high 11 of 24 bits.
    let scaled = x * 8193.0;
    if x.abs() < low { 0.0 } else { f64::from(if scaled.is_finite() { scaled - (scaled - x) } else { x }) }
}

/// What differs, and everything that was written.
async fn compare(
    recorded: &Recorded,
    gpu: &Arc<Gpu>,
    caps: &Caps,
) -> Result<(Vec<Difference>, Vec<Vec<f64>>)> {
    let tape = &recorded.tape;
    let program = Program::new(tape, caps, Keep::Everything);
    let plan = Plan::new(gpu, tape, &program, &mut Store::new())?;
    plan.poison();
    for (id, data) in &recorded.inputs {
        write(&plan, tape.value(*id), *id, data);
    }
    plan.run();
    let mut memory = memory(recorded);
    let mut written = Vec::new();
    let last_writer: std::collections::BTreeMap<ValueId, usize> = tape
        .nodes()
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.outputs.iter().map(move |&o| (tape.root(o), index)))
        .collect();
    let mut differences = Vec::new();
    for (index, node) in tape.nodes().iter().enumerate() {
        tape.interpret_node(index, &mut memory)?;
        for &id in &node.outputs {
            if last_writer[&tape.root(id)] != index {
                continue;
            }
            let value = tape.value(id);
            let (found, padding) = read(&plan, value, id).await?;
            let wanted = memory.get(tape, id)?;
            let mut compared = difference_of_terms(&value.name, &found, &wanted.data, recorded.terms);
            compared.whole = value.dtype != DType::F32;
            if compared.whole && compared.max_abs > 0.0 {
                compared.max_rel = f64::INFINITY;
            }
            differences.push(compared);
            if let Some(index) = padding {
                let (name, max_abs) = (format!("padding of {}", value.name), f64::INFINITY);
                differences.push(Difference { name, max_abs, max_rel: max_abs, index, whole: false });
            }
            written.push(found.clone());
            memory.set(tape, id, found);
        }
    }
    Ok((differences, written))
}

/// The content of a value as numbers, and the flat index in memory of the first padding lane that is not zero.
async fn read(plan: &Plan, value: &Value, id: ValueId) -> Result<(Vec<f64>, Option<usize>)> {
    if value.dtype != DType::F32 || value.padded_len() == value.len() {
        return Ok((plan.read_f64(id).await?, None));
    }
    let held: Vec<f32> = plan.read_padded(id).await?;
    let (channels, stride) = (value.channels(), 4 * value.quads());
    let padding = held.iter().enumerate().position(|(i, &x)| i % stride >= channels && x != 0.0);
    let dense = unpack(&value.shape, value.dtype, &held);
    Ok((dense.into_iter().map(f64::from).collect(), padding))
}

/// Uploads the content of `value`, whatever its type.
pub fn write(plan: &Plan, value: &Value, id: ValueId, data: &[f64]) {
    match value.dtype {
        DType::F32 => plan.write(id, &data.iter().map(|&x| x as f32).collect::<Vec<_>>()),
        DType::U32 => plan.write(id, &data.iter().map(|&x| x as u32).collect::<Vec<_>>()),
        DType::I32 => plan.write(id, &data.iter().map(|&x| x as i32).collect::<Vec<_>>()),
    }
}

/// What the case gives on the oracle: its outputs, the gradients that are checked, weights and state as they are left.
///
/// # Errors
/// Those of recording.
pub fn on_oracle(case: &Case) -> Result<Vec<f64>> {
    let recorded = record(case)?;
    let tape = &recorded.tape;
    let mut memory = memory(&recorded);
    tape.interpret(&mut memory)?;
    let stored = recorded.inputs.iter().map(|i| i.0).filter(|&id| tape.value(id).role != Role::Input);
    let gradients = recorded.grads.iter().filter_map(|g| g.1);
    let all = recorded.outputs.iter().map(|o| o.0).chain(gradients).chain(stored);
    all.map(|id| Ok(memory.get(tape, id)?.data)).collect::<Result<Vec<_>>>().map(|all| all.concat())
}

/// Compares the gradients on the oracle with central differences of `sum <output, seed>` at up to 24 places per input.
///
/// # Errors
/// Those of recording; [`Error::Shape`] if an input that wants a gradient gets none.
pub fn finite_differences(case: &Case) -> Result<Vec<Difference>> {
    const STEP: f64 = 1e-5;
    let recorded = record(case)?;
    let tape = &recorded.tape;
    let mut base = memory(&recorded);
    tape.interpret(&mut base)?;
    let mut out = Vec::new();
    for (target, gradient) in &recorded.grads {
        let name = &tape.value(*target).name;
        let gradient = gradient.ok_or_else(|| Error::shape("gradient", format!("none for `{name}`")))?;
        debug_assert!(matches!(tape.value(*target).role, Role::Input | Role::Param));
        let analytic = base.get(tape, gradient)?.data;
        let places = places(analytic.len());
        let objective = |place: usize, step: f64| -> Result<f64> {
            let mut memory = memory(&recorded);
            let mut data = memory.get(tape, *target)?.data;
            data[place] += step;
            memory.set(tape, *target, data);
            tape.interpret(&mut memory)?;
            let terms = recorded.outputs.iter().map(|(id, seed)| {
                let value = memory.get(tape, *id)?;
                Ok(crate::oracle::dot(&value.data, seed))
            });
            terms.sum()
        };
        let numeric = places
            .iter()
            .map(|&p| Ok((objective(p, STEP)? - objective(p, -STEP)?) / (2.0 * STEP)))
            .collect::<Result<Vec<f64>>>()?;
        let picked: Vec<f64> = places.iter().map(|&p| analytic[p]).collect();
        out.push(difference(&format!("d{name}"), &picked, &numeric));
    }
    Ok(out)
}

/// Up to 24 different flat indices, spread by the generator.
fn places(count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    Rng::new(0xd1ff, 0).shuffle(&mut all);
    all.truncate(24);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_judged_by_the_terms_that_cancel_and_nothing_else_is() {
        let off = |wanted: [f64; 2], terms| difference_of_terms("x", &[1e-3, 2.0], &wanted, terms).max_rel;
        assert!(difference("x", &[0.0; 2], &[0.0; 2]).max_rel == 0.0);
        assert!(difference("x", &[1e-30, 0.0], &[0.0; 2]).max_rel > 1.0);
        assert!((off([0.0; 2], 100.0) - 0.02).abs() < 1e-12);
        // A tensor with a maximum keeps it.
        assert!((off([0.0, 2.0], 100.0) - 5e-4).abs() < 1e-12);
    }
}
