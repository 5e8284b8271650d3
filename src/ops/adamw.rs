//! Adam with decoupled weight decay.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_quads: u32,
        beta1: f32,
        beta2: f32,
        rest1: f32,
        rest2: f32,
        ln_beta1: f32,
        ln_beta2: f32,
        eps: f32,
        weight_decay: f32,
        lr_scale: f32,
    }
}

/// Added to the root of the second moment.
const EPS: f64 = 1e-8;

/// Inputs weight, gradient, first and second moment (one shape), the learning rate `[1]`, the number of the step
/// `u32 [1]`, counted from 0, and, if the gradient is to be multiplied by one, a factor `[1]`; outputs weight and moments.
///
/// `w = w - lr * lr_scale * (weight_decay * w + m' / (sqrt(v') + 1e-8))` with bias-corrected moments `m'`, `v'`
/// (Loshchilov and Hutter 2019, algorithm 2).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Shares of the old moments that stay.
    pub betas: [f32; 2],
    /// Pull of the weight towards 0.
    pub weight_decay: f32,
    /// Factor on the learning rate for this weight.
    pub lr_scale: f32,
}

/// Records one step of `rule` that overwrites `weight` and both `moments`; `lr` and `step` are tape inputs of shape `[1]`,
/// `factor` what the gradient is multiplied by (see [`clip_norm`](super::clip_norm())), if anything.
///
/// # Errors
/// [`Error::Shape`] if gradient or moments are not of the weight's shape, or `lr`, `step` or the factor is not `[1]`.
pub fn adamw(
    tape: &mut Tape,
    weight: ValueId,
    gradient: ValueId,
    moments: [ValueId; 2],
    [lr, step]: [ValueId; 2],
    factor: Option<ValueId>,
    rule: AdamW,
) -> Result<()> {
    let [first, second] = moments;
    let inputs: Vec<_> = [weight, gradient, first, second, lr, step].into_iter().chain(factor).collect();
    tape.push_into(rule, &inputs, &[weight, first, second])
}

impl Op for AdamW {
    fn stem(&self) -> &'static str {
        "adamw"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (weight, step) = (inputs[0], inputs[5]);
        let numbers = inputs[4..].iter().all(|v| v.shape == [1]);
        let other = inputs[1..4].iter().find(|v| v.shape != weight.shape);
        if other.is_some() || !numbers || step.dtype != DType::U32 {
            let shapes: Vec<_> = inputs.iter().map(|v| &v.shape).collect();
            return Err(Error::shape(
                "adamw",
                format!("`{}`: {shapes:?}, four alike and numbers [1]", weight.name),
            ));
        }
        Ok(vec![Spec::f32(&weight.shape); 3])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let [beta1, beta2] = self.betas;
        let rest = |beta: f32| (1.0 - f64::from(beta)) as f32;
        let ln = |beta: f32| f64::from(beta).ln() as f32;
        let params = Params {
            num_quads: num_quads as u32,
            beta1,
            beta2,
            rest1: rest(beta1),
            rest2: rest(beta2),
            // ln 0 is no number that can be multiplied by; e^-1000 is 0 as well.
            ln_beta1: ln(beta1).max(-1000.0),
            ln_beta2: ln(beta2).max(-1000.0),
            eps: EPS as f32,
            weight_decay: self.weight_decay,
            lr_scale: self.lr_scale,
        };
        let mut bindings = vec![
            ("gradient", l.read(1)),
            ("lr", l.read(4)),
            ("step", l.read(5)),
            ("weight", l.write(0)),
            ("first", l.write(1)),
            ("second", l.write(2)),
        ];
        let mut entry = "adamw";
        if l.num_inputs() > 6 {
            bindings.push(("factor", l.read(6)));
            entry = "adamw_clipped";
        }
        l.dispatch("adamw", entry, &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let [beta1, beta2] = self.betas.map(f64::from);
        let lr = inputs[4].data[0] * f64::from(self.lr_scale);
        let rule = [beta1, beta2, EPS, f64::from(self.weight_decay), lr];
        let factor = inputs.get(6).map_or(1.0, |factor| factor.data[0]);
        let gradient = inputs[1].map(|g| factor * g);
        oracle::adamw::adamw([inputs[0], &gradient, inputs[2], inputs[3]], rule, inputs[5].data[0] + 1.0)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        16 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let of = |name: &str, shape: &[usize], step: f32, factor: Option<f32>, rule: AdamW| {
        let weight = || Input::fixed(shape, Fill::Uniform(-1.0, 1.0));
        let second = Input::fixed(shape, Fill::Uniform(0.0, 1.0));
        let one = |value: f32| Fill::Values(vec![value]);
        let mut inputs = vec![
            weight(),
            weight(),
            weight(),
            second,
            Input::fixed(&[1], one(0.05)),
            Input::u32(&[1], one(step)),
        ];
        inputs.extend(factor.map(|factor| Input::fixed(&[1], one(factor))));
        Case::new(name, inputs, move |t, v| {
            adamw(t, v[0], v[1], [v[2], v[3]], [v[4], v[5]], v.get(6).copied(), rule)?;
            Ok(vec![])
        })
    };
    let case = |name: &str, shape: &[usize], step: f32, rule: AdamW| of(name, shape, step, None, rule);
    let usual = AdamW { betas: [0.9, 0.999], weight_decay: 0.01, lr_scale: 1.0 };
    vec![
        case("the first step", &[5, 3, 7], 0.0, usual),
        case("where the series ends, a vector, scaled rate", &[13], 399.0, AdamW { lr_scale: 10.0, ..usual }),
        of("clipped", &[5, 3, 7], 2.0, Some(0.3), usual),
        case("a late step", &[300, 65], 60_000.0, usual),
        case("no memory", &[3, 9], 4.0, AdamW { betas: [0.0, 0.0], weight_decay: 0.0, ..usual }),
    ]
}
