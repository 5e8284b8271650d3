//! From the losses to moved weights: gradients, their bound, the optimiser, averages; and, where a step has several
//! micro-batches (`train.accumulate`), the sums in between.
//!
//! With several micro-batches there are two tapes. The first is run once per micro-batch and adds its share of gradients and losses
//! to sums in the store; the second moves the weights by the sums. Neither knows how many micro-batches there are, so any
//! number of them takes the memory of one and of one sum per weight.

use crate::error::Result;
use crate::gpu::Caps;
use crate::nn::{Arch, Weights};
use crate::ops;
use crate::tape::{DType, Keep, Program, Tape, Value, ValueId};

use super::average::{moving, record_averages};
use super::objective::Losses;
use super::optimiser::record_optimiser;
use super::step::TrainOptions;

/// A sum over micro-batches is stored under this prefix plus the weight's or loss's name.
const SUM: &str = "sum/";

/// Whether a stored value is a sum over the micro-batches of one step, which the next step begins anew.
#[must_use]
pub fn is_gradient_sum(name: &str) -> bool {
    name.starts_with(SUM)
}

/// What is run behind the last micro-batch of a step.
pub struct Update {
    /// The tape.
    pub tape: Tape,
    /// Learning rate of the head `[1]`.
    pub lr: ValueId,
    /// Number of the step `[1]`.
    pub step: ValueId,
    /// Norm of all gradients together `[1]`, if it is bounded.
    pub grad_norm: Option<ValueId>,
}

impl Update {
    /// The update lowered for `caps`.
    #[must_use]
    pub fn program(&self, caps: &Caps) -> Program {
        let kept: Vec<_> = self.grad_norm.into_iter().collect();
        Program::new(&self.tape, caps, Keep::Only(&kept))
    }
}

/// What [`record_descent`] recorded.
pub(super) struct Descent {
    /// The losses of the step: those given, or their means over micro-batches.
    pub losses: Losses,
    /// That of the auxiliary head, likewise.
    pub aux: Option<ValueId>,
    /// Norm of all gradients together, if it is bounded and on this tape.
    pub grad_norm: Option<ValueId>,
    /// Where a step has several micro-batches: 1 for the first of them and 0 for the others, `u32 [1]`.
    pub first: Option<ValueId>,
    /// The second tape, if there is one.
    pub update: Option<Update>,
}

/// Records the gradients of `losses`, whose total holds `aux` already, and what is done with them; `numbers` are the learning rate and the number of the step.
pub(super) fn record_descent(
    tape: &mut Tape,
    (losses, aux): (Losses, Option<ValueId>),
    weights: &Weights,
    numbers: [ValueId; 2],
    arch: Arch,
    o: &TrainOptions,
) -> Result<Descent> {
    let params = tape.params();
    let grads = ops::backward(tape, losses.total, &params)?;
    let pairs: Vec<_> =
        params.iter().zip(grads).filter_map(|(&param, gradient)| Some([param, gradient?])).collect();
    let trained: Vec<_> = pairs.iter().map(|pair| pair[0]).collect();
    let moving = moving(tape, weights, &trained);
    if o.extras.accumulate <= 1 {
        let grad_norm = record_update(tape, &pairs, numbers, &moving, arch, o)?;
        return Ok(Descent { losses, aux, grad_norm, first: None, update: None });
    }
    let first = tape.input("first", &[1], DType::U32);
    let share = 1.0 / o.extras.accumulate as f32;
    tape.enter("accumulate");
    let mut update = Tape::new();
    let mut pairs_behind = Vec::new();
    for [param, gradient] in pairs {
        let param = tape.value(param).clone();
        let sum = record_sum(tape, gradient, &param.name, first, share)?;
        pairs_behind.push([update.stored(&param), update.stored(tape.value(sum))]);
    }
    let losses = losses.try_map(|name, id| record_sum(tape, id, name, first, share))?;
    let aux = aux.map(|aux| record_sum(tape, aux, "loss/aux", first, share)).transpose()?;
    tape.leave();
    let lr = update.input("lr", &[1], DType::F32);
    let step = update.input("step", &[1], DType::U32);
    let grad_norm = record_update(&mut update, &pairs_behind, [lr, step], &moving, arch, o)?;
    let update = Some(Update { tape: update, lr, step, grad_norm });
    Ok(Descent { losses, aux, grad_norm: None, first: Some(first), update })
}

/// Adds the micro-batch's `share` of `value` to the sum called `name`.
fn record_sum(tape: &mut Tape, value: ValueId, name: &str, first: ValueId, share: f32) -> Result<ValueId> {
    let shape = tape.value(value).shape.clone();
    let sum = tape.state(&format!("{SUM}{name}"), &shape, DType::F32);
    ops::accumulate(tape, value, sum, first, share)?;
    Ok(sum)
}

/// Bound, optimiser and averages; returns the norm of the gradients, if it is bounded.
fn record_update(
    tape: &mut Tape,
    pairs: &[[ValueId; 2]],
    numbers: [ValueId; 2],
    moving: &[Value],
    arch: Arch,
    o: &TrainOptions,
) -> Result<Option<ValueId>> {
    tape.scoped("optimise", |tape| {
        let norm = record_optimiser(tape, pairs, numbers, arch, o)?;
        if o.extras.ema > 0.0 {
            record_averages(tape, moving, numbers[1], o.extras.ema)?;
        }
        Ok(norm)
    })
}

impl Losses {
    /// Each loss by its name.
    fn try_map(self, mut each: impl FnMut(&str, ValueId) -> Result<ValueId>) -> Result<Self> {
        Ok(Self {
            total: each("loss/total", self.total)?,
            ce: each("loss/ce", self.ce)?,
            prototype: match self.prototype {
                Some((ppc, ppd)) => Some((each("loss/ppc", ppc)?, each("loss/ppd", ppd)?)),
                None => None,
            },
        })
    }
}

/// What a whole step costs, all its micro-batches and the update behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepCost {
    /// Bytes on the device.
    pub bytes: u64,
    /// Of that, state beside the trained weights.
    pub state_bytes: u64,
    /// Floating point operations.
    pub flops: u64,
    /// Dispatches.
    pub dispatches: usize,
}

impl StepCost {
    /// That of `program` of `tape`, run once.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        Self {
            bytes: program.bytes(),
            state_bytes: program.state_bytes(),
            flops: program.flops(),
            dispatches: program.num_dispatches(),
        }
    }

    /// That of `program` of `tape`, run `times` times, and then `update`, whose stored values that `tape` has too are held once.
    #[must_use]
    pub fn with_update(tape: &Tape, program: &Program, times: usize, update: (&Update, &Program)) -> Self {
        let (one, (behind, update)) = (Self::of(program), update);
        let shared = |state: bool| {
            let stored = behind.tape.values().iter().filter(|v| v.is_stored());
            let both = stored.filter(|v| tape.find(&v.name).is_some());
            both.filter(|v| !state || v.role == crate::tape::Role::State).map(Value::bytes).sum::<u64>()
        };
        Self {
            bytes: one.bytes + update.bytes() - shared(false),
            state_bytes: one.state_bytes + update.state_bytes() - shared(true),
            flops: one.flops * times as u64 + update.flops(),
            dispatches: one.dispatches * times + update.num_dispatches(),
        }
    }
}

#[cfg(test)]
mod tests;
