//! Exponential moving average of a weight.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, rest: f32 }
}

/// Inputs weight and average (one shape) and the number of the step `u32 [1]`, counted from 0; output the average.
///
/// `a = d * a + (1 - d) * w` with `d = min(decay, (1 + t) / (10 + t))` at step `t`, the ramp of TensorFlow's
/// `ExponentialMovingAverage`: without it an average of 0.999 would hold more of the first weights than of all later ones for
/// the first 700 steps.
#[derive(Clone, Copy, Debug)]
pub struct Ema {
    /// Share of the old average that stays in the long run.
    pub decay: f32,
}

/// Records the update of `average` in place by `weight` at the step whose number `step` `[1]` holds.
///
/// # Errors
/// [`Error::Shape`] if weight and average are not of one shape, or the step is not `u32 [1]`.
pub fn ema(tape: &mut Tape, weight: ValueId, average: ValueId, step: ValueId, decay: f32) -> Result<()> {
    tape.push_into(Ema { decay }, &[weight, average, step], &[average])
}

impl Op for Ema {
    fn stem(&self) -> &'static str {
        "ema"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [weight, average, step] = [inputs[0], inputs[1], inputs[2]];
        if weight.shape != average.shape || step.shape != [1] || step.dtype != DType::U32 {
            let problem = format!(
                "`{}` {:?} with average {:?} and step {:?} {:?}",
                weight.name, weight.shape, average.shape, step.shape, step.dtype
            );
            return Err(Error::shape("ema", problem));
        }
        Ok(vec![Spec::f32(&average.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let rest = (1.0 - f64::from(self.decay)) as f32;
        let params = Params { num_quads: num_quads as u32, rest };
        let bindings = [("weight", l.read(0)), ("step", l.read(2)), ("average", l.write(0))];
        l.dispatch("ema", "ema", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::ema::ema(inputs[0], inputs[1], f64::from(self.decay), inputs[2].data[0])]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], step: f32, decay: f32| {
        let weight = || Input::fixed(shape, Fill::Uniform(-1.0, 1.0));
        let step = Input::u32(&[1], Fill::Values(vec![step]));
        Case::new(name, vec![weight(), weight(), step], move |t, v| {
            ema(t, v[0], v[1], v[2], decay)?;
            Ok(vec![])
        })
    };
    vec![
        case("the first step", &[5, 3, 7], 0.0, 0.999),
        case("on the ramp, a vector", &[13], 30.0, 0.999),
        case("behind it", &[300, 65], 50_000.0, 0.9999),
        case("no memory", &[3, 9], 400.0, 0.0),
    ]
}
