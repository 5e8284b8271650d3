//! Sum over the micro-batches of a step.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, factor: f32 }
}

/// Inputs gradient and sum (one shape) and `first` `u32 [1]`; output the sum: `factor * g` where `first` is not 0, and that added
/// to the old sum elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate {
    /// Share of a micro-batch.
    pub factor: f32,
}

/// Records that `factor` times `gradient` is added to `sum`, or starts it where `first` `[1]` is not 0.
///
/// # Errors
/// [`Error::Shape`] if gradient and sum are not of one shape, or `first` is not `u32 [1]`.
pub fn accumulate(
    tape: &mut Tape,
    gradient: ValueId,
    sum: ValueId,
    first: ValueId,
    factor: f32,
) -> Result<()> {
    tape.push_into(Accumulate { factor }, &[gradient, sum, first], &[sum])
}

impl Op for Accumulate {
    fn stem(&self) -> &'static str {
        "accumulate"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [gradient, sum, first] = [inputs[0], inputs[1], inputs[2]];
        if gradient.shape != sum.shape || first.shape != [1] || first.dtype != DType::U32 {
            let problem = format!(
                "`{}` {:?} onto {:?}, first {:?} {:?}",
                gradient.name, gradient.shape, sum.shape, first.shape, first.dtype
            );
            return Err(Error::shape("accumulate", problem));
        }
        Ok(vec![Spec::f32(&sum.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_quads = l.output(0).padded_len().div_ceil(4);
        let params = Params { num_quads: num_quads as u32, factor: self.factor };
        let bindings = [("gradient", l.read(0)), ("first", l.read(2)), ("sum", l.write(0))];
        l.dispatch("accumulate", "accumulate", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let first = inputs[2].data[0] != 0.0;
        vec![oracle::accumulate::accumulate(inputs[0], inputs[1], first, f64::from(self.factor))]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], first: f32, factor: f32, before: Fill| {
        let gradient = Input::fixed(shape, Fill::Uniform(-1.0, 1.0));
        let first = Input::u32(&[1], Fill::Values(vec![first]));
        Case::new(name, vec![gradient, Input::fixed(shape, before), first], move |t, v| {
            accumulate(t, v[0], v[1], v[2], factor)?;
            Ok(vec![])
        })
    };
    let any = Fill::Uniform(-1.0, 1.0);
    vec![
        case("onto others", &[5, 3, 7], 0.0, 0.25, any.clone()),
        case("a vector, the first, onto NaN", &[13], 1.0, 0.5, Fill::Values(vec![f32::NAN; 13])),
        case("many", &[300, 65], 0.0, 1.0 / 3.0, any),
    ]
}
