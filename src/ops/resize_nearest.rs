//! Resize of NHWC maps to the nearest pixel.

use super::table::{Case, Fill, Input};
use super::two_sizes;
use crate::error::Result;
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

/// Input `x [B,H,W,C]`; output `[B,to[0],to[1],C]`, at each place the pixel at `floor(o * in / out)` of each axis (PyTorch's
/// `"nearest"`).
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearest {
    /// Height and width of the output.
    pub to: [usize; 2],
}

/// Input `dy [B,OH,OW,C]`; output `dx [B,from[0],from[1],C]`, the exact transpose of [`ResizeNearest`].
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearestGrad {
    /// Height and width of the gradient.
    pub from: [usize; 2],
}

/// Records `x` `[B,H,W,C]` at height `to[0]` and width `to[1]` without a value in between. The same size gives `x` itself.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if `x` is not of rank 4, an extent is 0, or a pixel becomes 65,000 or more.
pub fn resize_nearest(tape: &mut Tape, x: ValueId, to: [usize; 2]) -> Result<ValueId> {
    let shape = &tape.value(x).shape;
    if shape.len() == 4 && shape[1..3] == to {
        return Ok(x);
    }
    tape.push1(ResizeNearest { to }, &[x])
}

/// `x` with another height and width, where no pixel is copied to more places than the gradient may add up.
fn resized(x: &Value, to: [usize; 2], forward: bool) -> Result<Vec<Spec>> {
    let copies = |(from, to): (usize, usize)| if forward { to / from + 1 } else { from / to + 1 };
    two_sizes::resized("resize_nearest", x, to, |pairs| pairs.map(copies).into_iter().product())
}

impl Op for ResizeNearest {
    fn stem(&self) -> &'static str {
        "resize_nearest"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.to, true)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        two_sizes::forward(l, "resize_nearest", "resize_nearest");
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::resize_nearest::resize_nearest(inputs[0], self.to)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let shape = &tape.value(node.inputs[0]).shape;
        let op = ResizeNearestGrad { from: [shape[1], shape[2]] };
        Ok(vec![Some(tape.push1(op, &[g])?)])
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

impl Op for ResizeNearestGrad {
    fn stem(&self) -> &'static str {
        "resize_nearest"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.from, false)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        two_sizes::backward(l, "resize_nearest", "resize_nearest_grad");
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::resize_nearest::grad(inputs[0], self.from)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 4], to: [usize; 2]| {
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], move |t, v| Ok(vec![resize_nearest(t, v[0], to)?]))
    };
    vec![
        case("by 2", [2, 3, 5, 5], [6, 10]),
        case("by 8", [1, 2, 3, 7], [16, 24]),
        case("odd sizes", [2, 13, 17, 6], [25, 33]),
        case("reduced", [1, 9, 11, 3], [4, 5]),
        case("higher and narrower", [1, 3, 9, 4], [7, 2]),
        case("from one pixel", [2, 1, 1, 9], [5, 3]),
        case("the same size", [1, 4, 3, 3], [4, 3]),
        case("many pixels", [1, 31, 40, 19], [61, 79]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn what_has_no_place_in_the_other_map_is_refused() {
        for (shape, to) in [
            (&[4, 4, 3][..], [8, 8]),
            (&[1, 0, 4, 3], [8, 8]),
            (&[1, 4, 4, 3], [0, 8]),
            (&[1, 1, 1, 3], [300, 300]),
        ] {
            let mut tape = Tape::new();
            let x = tape.input("x", shape, DType::F32);
            let error = resize_nearest(&mut tape, x, to).expect_err("refused").to_string();
            assert!(error.contains("resize_nearest") && error.contains("needed"), "{error}");
        }
    }
}
