//! Adaptive average pooling of NHWC maps: to a size that is given, whatever that of the map.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { batch: u32, quads: u32, in_h: u32, in_w: u32, out_h: u32, out_w: u32 }
}

/// What an invocation's loops may run through.
const MAX_ITERATIONS: usize = 65_000;

/// Input `x [B,H,W,C]`; output `[B,to[0],to[1],C]`, the means over bins as PyTorch's `AdaptiveAvgPool2d` cuts them: bin `o` along
/// an axis of `n` pixels is `floor(o n / to)` to `ceil((o + 1) n / to) - 1`.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output.
    pub to: [usize; 2],
}

/// Input `dy [B,OH,OW,C]`; output `dx [B,from[0],from[1],C]`.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveAvgPool2dGrad {
    /// Height and width of the gradient.
    pub from: [usize; 2],
}

/// Records the means of `x` `[B,H,W,C]` over `to[0]` by `to[1]` bins.
///
/// # Errors
/// [`Error::Shape`] if `x` is not of rank 4, an extent is 0, or a bin has 65,000 pixels or more (one invocation sums them).
pub fn adaptive_avg_pool2d(tape: &mut Tape, x: ValueId, to: [usize; 2]) -> Result<ValueId> {
    tape.push1(AdaptiveAvgPool2d { to }, &[x])
}

/// The map's shape with another height and width, where the loops of both directions are bounded and no product of an input
/// and an output extent leaves 32 bits.
fn resized(x: &Value, to: [usize; 2]) -> Result<Vec<Spec>> {
    let wrong = |want: &str| {
        let problem = format!("`{}` {:?} to {to:?} where {want}", x.name, x.shape);
        Err(Error::shape("adaptive_avg_pool2d", problem))
    };
    let &[batch, height, width, channels] = x.shape.as_slice() else {
        return wrong("[B,H,W,C] is needed");
    };
    let pairs = [(height, to[0]), (width, to[1])];
    if pairs.iter().any(|&(from, to)| from.min(to) == 0 || from.max(to) > 46_340) {
        return wrong("extents of 1 to 46,340 are needed");
    }
    // Positions that one bin covers at most, in either direction.
    let covered = |from: usize, to: usize| from / to + 2;
    let most = |there: bool| {
        pairs.iter().map(|&(from, to)| if there { covered(from, to) } else { covered(to, from) }).product()
    };
    if [most(true), most(false)].iter().any(|&n: &usize| n >= MAX_ITERATIONS) {
        return wrong("bins of less than 65,000 pixels are needed");
    }
    Ok(vec![Spec::f32(&[batch, to[0], to[1], channels])])
}

fn params(x: &Value, y: &Value) -> Params {
    Params {
        batch: x.shape[0] as u32,
        quads: x.quads() as u32,
        in_h: x.shape[1] as u32,
        in_w: x.shape[2] as u32,
        out_h: y.shape[1] as u32,
        out_w: y.shape[2] as u32,
    }
}

impl Op for AdaptiveAvgPool2d {
    fn stem(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.to)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0), l.output(0));
        let groups = grid(l.output(0).padded_len() / 4, 64);
        let bindings = [("x", l.read(0)), ("out", l.write(0))];
        l.dispatch("adaptive_avg_pool2d", "adaptive_avg_pool2d", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::adaptive_avg_pool2d::adaptive_avg_pool2d(inputs[0], self.to)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let shape = &tape.value(node.inputs[0]).shape;
        let op = AdaptiveAvgPool2dGrad { from: [shape[1], shape[2]] };
        Ok(vec![Some(tape.push1(op, &[g])?)])
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        (inputs[0].len() + outputs[0].len()) as u64
    }
}

impl Op for AdaptiveAvgPool2dGrad {
    fn stem(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.from)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.output(0), l.input(0));
        let groups = grid(l.output(0).padded_len() / 4, 64);
        let bindings = [("x", l.read(0)), ("out", l.write(0))];
        l.dispatch("adaptive_avg_pool2d", "adaptive_avg_pool2d_grad", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::adaptive_avg_pool2d::grad(inputs[0], self.from)]
    }

    fn flops(&self, _: &[&Value], outputs: &[&Value]) -> u64 {
        2 * outputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 4], to: [usize; 2]| {
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], move |t, v| Ok(vec![adaptive_avg_pool2d(t, v[0], to)?]))
    };
    vec![
        case("bins that share pixels", [2, 7, 11, 5], [3, 6]),
        case("even bins", [1, 6, 9, 4], [2, 3]),
        case("the whole map", [3, 5, 8, 7], [1, 1]),
        case("more bins than pixels", [2, 3, 4, 6], [7, 6]),
        case("one pixel", [2, 1, 1, 3], [6, 6]),
        case("the same size", [1, 4, 3, 2], [4, 3]),
        case("large", [1, 97, 131, 3], [6, 6]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn what_no_invocation_could_sum_is_refused() {
        let outcome = |shape: &[usize], to| {
            let mut tape = Tape::new();
            let x = tape.input("x", shape, DType::F32);
            let y = adaptive_avg_pool2d(&mut tape, x, to);
            y.map(|y| tape.value(y).shape.clone()).map_err(|e| e.to_string())
        };
        assert_eq!(outcome(&[2, 240, 260, 3], [1, 1]), Ok(vec![2, 1, 1, 3]));
        for (shape, to) in [
            (&[4, 4, 3][..], [1, 1]),
            (&[1, 0, 4, 3], [1, 1]),
            (&[1, 4, 4, 3], [0, 1]),
            (&[1, 256, 256, 3], [1, 1]),
            (&[1, 1, 1, 3], [300, 300]),
        ] {
            let error = outcome(shape, to).expect_err("refused");
            assert!(error.contains("adaptive_avg_pool2d") && error.contains("needed"), "{error}");
        }
    }
}
