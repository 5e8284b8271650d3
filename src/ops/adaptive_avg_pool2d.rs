//! Adaptive average pooling of NHWC maps: to a size that is given, whatever that of the map.

use super::table::{Case, Fill, Input};
use super::two_sizes;
use crate::error::Result;
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

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
/// [`Error::Shape`](crate::Error::Shape) if `x` is not of rank 4, an extent is 0, or a bin has 65,000 pixels or more (one invocation sums them).
pub fn adaptive_avg_pool2d(tape: &mut Tape, x: ValueId, to: [usize; 2]) -> Result<ValueId> {
    tape.push1(AdaptiveAvgPool2d { to }, &[x])
}

/// The map's shape with another height and width, where the loops of both directions are bounded.
fn resized(x: &Value, to: [usize; 2]) -> Result<Vec<Spec>> {
    // Pixels that one bin covers at most, and bins that hold one pixel.
    two_sizes::resized("adaptive_avg_pool2d", x, to, |[(h, to_h), (w, to_w)]| {
        let [covered, holding] = [(h / to_h + 2) * (w / to_w + 2), (to_h / h + 2) * (to_w / w + 2)];
        covered.max(holding)
    })
}

impl Op for AdaptiveAvgPool2d {
    fn stem(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.to)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        two_sizes::forward(l, "adaptive_avg_pool2d", "adaptive_avg_pool2d");
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
        two_sizes::backward(l, "adaptive_avg_pool2d", "adaptive_avg_pool2d_grad");
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
