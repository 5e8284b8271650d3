//! Stochastic gradient descent with momentum and weight decay.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, momentum: f32, weight_decay: f32, lr_scale: f32 }
}

/// Inputs weight, gradient, velocity (one shape), the learning rate `[1]` and, if the gradient is to be multiplied by one, a
/// factor `[1]`; outputs weight and velocity.
///
/// `v = momentum * v + (factor * g + weight_decay * w)`, `w = w - lr * lr_scale * v`.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Share of the old velocity that stays.
    pub momentum: f32,
    /// Pull of the weight towards 0.
    pub weight_decay: f32,
    /// Factor on the learning rate for this weight.
    pub lr_scale: f32,
}

/// Records one step of `rule` that overwrites `weight` and `velocity`; `lr` is a tape input of shape `[1]`, `factor` what the
/// gradient is multiplied by (see [`clip_norm`](super::clip_norm())), if anything.
///
/// # Errors
/// [`Error::Shape`] if gradient or velocity is not of the weight's shape, or `lr` or the factor is not `[1]`.
pub fn sgd(
    tape: &mut Tape,
    weight: ValueId,
    gradient: ValueId,
    velocity: ValueId,
    lr: ValueId,
    factor: Option<ValueId>,
    rule: Sgd,
) -> Result<()> {
    let inputs: Vec<_> = [weight, gradient, velocity, lr].into_iter().chain(factor).collect();
    tape.push_into(rule, &inputs, &[weight, velocity])
}

impl Op for Sgd {
    fn stem(&self) -> &'static str {
        "sgd"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [weight, gradient, velocity] = [inputs[0], inputs[1], inputs[2]];
        let numbers = inputs[3..].iter().all(|v| v.shape == [1]);
        if gradient.shape != weight.shape || velocity.shape != weight.shape || !numbers {
            let problem = format!(
                "`{}` {:?} with gradient {:?}, velocity {:?}, learning rate and factor {:?}",
                weight.name,
                weight.shape,
                gradient.shape,
                velocity.shape,
                inputs[3..].iter().map(|v| &v.shape).collect::<Vec<_>>()
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
        let mut bindings = vec![
            ("gradient", l.read(1)),
            ("lr", l.read(3)),
            ("weight", l.write(0)),
            ("velocity", l.write(1)),
        ];
        let mut entry = "sgd";
        if l.num_inputs() > 4 {
            bindings.push(("factor", l.read(4)));
            entry = "sgd_clipped";
        }
        l.dispatch("sgd", entry, &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let lr = inputs[3].data[0] * f64::from(self.lr_scale);
        let (decay, momentum) = (f64::from(self.weight_decay), f64::from(self.momentum));
        let factor = inputs.get(4).map_or(1.0, |factor| factor.data[0]);
        let gradient = inputs[1].map(|g| factor * g);
        oracle::sgd::sgd([inputs[0], &gradient, inputs[2]], decay, momentum, lr)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let of = |name: &str, shape: &[usize], numbers: &[f32], rule: Sgd| {
        let mut inputs = vec![Input::fixed(shape, Fill::Uniform(-1.0, 1.0)); 3];
        inputs.extend(numbers.iter().map(|&x| Input::fixed(&[1], Fill::Values(vec![x]))));
        Case::new(name, inputs, move |t, v| {
            sgd(t, v[0], v[1], v[2], v[3], v.get(4).copied(), rule)?;
            Ok(vec![])
        })
    };
    let case = |name: &str, shape: &[usize], rule: Sgd| of(name, shape, &[0.05], rule);
    let clipped = Sgd { momentum: 0.9, weight_decay: 0.1, lr_scale: 2.0 };
    vec![
        case("momentum and decay", &[5, 3, 7], Sgd { momentum: 0.9, weight_decay: 5e-4, lr_scale: 1.0 }),
        case("a vector, scaled rate", &[13], Sgd { momentum: 0.5, weight_decay: 0.1, lr_scale: 10.0 }),
        of("clipped", &[5, 3, 7], &[0.05, 0.3], clipped),
        case("plain", &[300, 65], Sgd { momentum: 0.0, weight_decay: 0.0, lr_scale: 0.1 }),
    ]
}
