//! Bilinear resize of NHWC maps.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        height_in: u32,
        width_in: u32,
        height_out: u32,
        width_out: u32,
        quads: u32,
        num_strips: u32,
        half_pixels: u32,
    }
}

uniform! {
    struct Axis { num_quads: u32, length_in: u32, length_out: u32, inner: u32, half_pixels: u32 }
}

/// Output rows per invocation, as in the shader.
const STRIP_ROWS: usize = 8;

/// Where pixel centres lie on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corners {
    /// First and last pixels coincide: source `o * (in - 1) / (out - 1)` (`align_corners = true`).
    Align,
    /// Pixels are areas: source `(o + 0.5) * in / out - 0.5`, not below 0 (`align_corners = false`).
    Half,
}

/// Input `[B,H,W,C]`; output `[B,to[0],to[1],C]`.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    /// Height and width of the output.
    pub to: [usize; 2],
    /// Coordinate rule.
    pub corners: Corners,
}

/// Input `dy` `[B,H2,W2,C]`; output `dx` `[B,from[0],from[1],C]`, the exact transpose of [`Resize`].
#[derive(Clone, Copy, Debug)]
pub struct ResizeGrad {
    /// Height and width of the gradient.
    pub from: [usize; 2],
    /// Coordinate rule.
    pub corners: Corners,
}

/// Records the resize of `x` `[B,H,W,C]` to height `to[0]` and width `to[1]`. The same size gives `x` itself.
///
/// # Errors
/// [`Error::Shape`] if `x` is not of rank 4, an extent is 0, or input times output extent reaches 2^29.
pub fn resize(tape: &mut Tape, x: ValueId, to: [usize; 2], corners: Corners) -> Result<ValueId> {
    let shape = &tape.value(x).shape;
    if shape.len() == 4 && shape[1..3] == to {
        return Ok(x);
    }
    tape.push1(Resize { to, corners }, &[x])
}

/// The map's shape with another height and width; positions are computed in 32-bit integers.
fn resized(x: &Value, to: [usize; 2]) -> Result<Vec<Spec>> {
    let &[batch, height, width, channels] = x.shape.as_slice() else {
        return Err(Error::shape("resize", format!("`{}` {:?} is not [B,H,W,C]", x.name, x.shape)));
    };
    let fits = |from: usize, to: usize| from > 0 && to > 0 && from * to < 1 << 29 && from.max(to) <= 46_340;
    if !fits(height, to[0]) || !fits(width, to[1]) {
        return Err(Error::shape("resize", format!("`{}` {:?} cannot become {to:?}", x.name, x.shape)));
    }
    Ok(vec![Spec::f32(&[batch, to[0], to[1], channels])])
}

impl Op for Resize {
    fn stem(&self) -> &'static str {
        "resize"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.to)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let x = l.input(0);
        let num_strips = x.shape[0] * self.to[0].div_ceil(STRIP_ROWS);
        let params = Params {
            height_in: x.shape[1] as u32,
            width_in: x.shape[2] as u32,
            height_out: self.to[0] as u32,
            width_out: self.to[1] as u32,
            quads: x.quads() as u32,
            num_strips: num_strips as u32,
            half_pixels: u32::from(self.corners == Corners::Half),
        };
        let groups = grid(num_strips * self.to[1] * x.quads(), 64);
        l.dispatch("resize", "resize", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::resize::resize(inputs[0], self.to, self.corners == Corners::Half)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let shape = &tape.value(node.inputs[0]).shape;
        let op = ResizeGrad { from: [shape[1], shape[2]], corners: self.corners };
        Ok(vec![Some(tape.push1(op, &[g])?)])
    }

    fn flops(&self, _: &[&Value], outputs: &[&Value]) -> u64 {
        8 * outputs[0].len() as u64
    }
}

impl Op for ResizeGrad {
    fn stem(&self) -> &'static str {
        "resize"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        resized(inputs[0], self.from)
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let dy = l.input(0);
        let (batch, quads) = (dy.shape[0], dy.quads());
        let ([height, width], [height_out, width_out]) = (self.from, [dy.shape[1], dy.shape[2]]);
        let between = l.scratch(batch * height_out * width * 4 * quads);
        let half_pixels = u32::from(self.corners == Corners::Half);
        let passes = [
            (batch * height_out, [width, width_out], quads, l.read(0), between),
            (batch, [height, height_out], width * quads, between, l.write(0)),
        ];
        for (outer, [length_in, length_out], inner, from, to) in passes {
            let num_quads = outer * length_in * inner;
            let axis = Axis {
                num_quads: num_quads as u32,
                length_in: length_in as u32,
                length_out: length_out as u32,
                inner: inner as u32,
                half_pixels,
            };
            l.dispatch("resize", "resize_grad", &axis, &[("x", from), ("out", to)], grid(num_quads, 64));
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::resize::resize_grad(inputs[0], self.from, self.corners == Corners::Half)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        8 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], to: [usize; 2], corners: Corners| {
        let x = Input::f32(shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], move |t, v| Ok(vec![resize(t, v[0], to, corners)?]))
    };
    vec![
        case("enlarged, aligned", &[2, 5, 7, 3], [17, 29], Corners::Align),
        case("enlarged, half pixels", &[2, 5, 7, 5], [20, 21], Corners::Half),
        case("by 4, aligned", &[1, 6, 9, 13], [24, 36], Corners::Align),
        case("reduced, aligned", &[2, 13, 17, 7], [5, 4], Corners::Align),
        case("reduced, half pixels", &[1, 19, 23, 6], [4, 3], Corners::Half),
        case("higher and narrower", &[1, 4, 21, 1], [15, 5], Corners::Half),
        case("lower and wider", &[1, 14, 3, 2], [3, 17], Corners::Align),
        case("from one pixel, aligned", &[2, 1, 1, 9], [9, 11], Corners::Align),
        case("from one pixel, half pixels", &[2, 1, 1, 4], [11, 9], Corners::Half),
        case("to one pixel, aligned", &[2, 6, 5, 3], [1, 1], Corners::Align),
        case("to one pixel, half pixels", &[2, 6, 5, 3], [1, 1], Corners::Half),
        case("same size", &[1, 4, 3, 3], [4, 3], Corners::Half),
        case("long line", &[1, 1, 700, 5], [1, 1913], Corners::Align),
        case("many pixels", &[2, 60, 80, 19], [120, 161], Corners::Half),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Caps;
    use crate::tape::{DType, Keep, Program};

    #[test]
    fn wide_rows_of_many_channels_stay_within_the_groups_of_a_dispatch() {
        let mut tape = Tape::new();
        let x = tape.input("x", &[1, 2, 9000, 2048], DType::F32);
        let y = resize(&mut tape, x, [3, 9001], Corners::Align).expect("a resize");
        let program = Program::new(&tape, &Caps::floor(), Keep::Only(&[y]));
        let groups: Vec<_> = program.dispatches().map(|d| d.groups).collect();
        assert!(!groups.is_empty() && groups.iter().flatten().all(|&n| n <= 65_535), "{groups:?}");
    }
}
