//! Stochastic gradient descent with momentum and weight decay.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, momentum: f32, weight_decay: f32, lr_scale: f32 }
}

/// Inputs weight, gradient, velocity (one shape) and the learning rate `[1]`; outputs weight and velocity.
///
/// `v = momentum * v + (g + weight_decay * w)`, `w = w - lr * lr_scale * v`.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Share of the old velocity that stays.
    pub momentum: f32,
    /// Pull of the weight towards 0.
    pub weight_decay: f32,
    /// Factor on the learning rate for this weight.
    pub lr_scale: f32,
}

/// Records one step of `rule` that overwrites `weight` and `velocity`; `lr` is a tape input of shape `[1]`.
///
/// # Errors
/// [`Error::Shape`] if gradient or velocity is not of the weight's shape, or `lr` is not `[1]`.
pub fn sgd(
    tape: &mut Tape,
    weight: ValueId,
    gradient: ValueId,
    velocity: ValueId,
    lr: ValueId,
    rule: Sgd,
) -> Result<()> {
    tape.push_into(rule, &[weight, gradient, velocity, lr], &[weight, velocity])
}

impl Op for Sgd {
    fn stem(&self) -> &'static str {
        "sgd"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [weight, gradient, velocity, lr] = [inputs[0], inputs[1], inputs[2], inputs[3]];
        if gradient.shape != weight.shape || velocity.shape != weight.shape || lr.shape != [1] {
            let problem = format!(
                "`{}` {:?} with gradient {:?}, velocity {:?} and learning rate {:?}",
                weight.name, weight.shape, gradient.shape, velocity.shape, lr.shape
            );
            return Err(Error::shape("sgd", problem));
        }
        Ok(vec![Spec::f32(&weight.shape), Spec::f32(&weight.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params {
            num_quads: num_quads as u32,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            lr_scale: self.lr_scale,
        };
        let bindings =
            [("gradient", l.read(1)), ("lr", l.read(3)), ("weight", l.write(0)), ("velocity", l.write(1))];
        l.dispatch("sgd", "sgd", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let lr = inputs[3].data[0] * f64::from(self.lr_scale);
        let (decay, momentum) = (f64::from(self.weight_decay), f64::from(self.momentum));
        oracle::sgd::sgd([inputs[0], inputs[1], inputs[2]], decay, momentum, lr)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], rule: Sgd| {
        let weight = || Input::fixed(shape, Fill::Uniform(-1.0, 1.0));
        let lr = Input::fixed(&[1], Fill::Values(vec![0.05]));
        Case::new(name, vec![weight(), weight(), weight(), lr], move |t, v| {
            sgd(t, v[0], v[1], v[2], v[3], rule)?;
            Ok(vec![])
        })
    };
    vec![
        case("momentum and decay", &[5, 3, 7], Sgd { momentum: 0.9, weight_decay: 5e-4, lr_scale: 1.0 }),
        case("a vector, scaled rate", &[13], Sgd { momentum: 0.5, weight_decay: 0.1, lr_scale: 10.0 }),
        case("plain", &[300, 65], Sgd { momentum: 0.0, weight_decay: 0.0, lr_scale: 0.1 }),
    ]
}
