//! Max pooling of NHWC maps.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::rng::Rng;
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        batch: u32,
        quads: u32,
        in_h: u32,
        in_w: u32,
        out_h: u32,
        out_w: u32,
        kernel: u32,
        stride: u32,
        padding: u32,
    }
}

/// Largest window: a place in one is a byte for the gradient, and one of the bytes says that it has none.
pub const MAX_WINDOW: usize = 15;

/// Windows of a pooling; the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width of a window, 1 to [`MAX_WINDOW`].
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// What lies around the image and is never the maximum; at most half a window.
    pub padding: usize,
}

impl From<Pool> for oracle::max_pool2d::Pool {
    fn from(p: Pool) -> Self {
        Self { kernel: p.kernel, stride: p.stride, padding: p.padding }
    }
}

impl Pool {
    /// Shape of the pooled map; `None` where a window may hold no pixel of it.
    fn pooled(self, x: &[usize]) -> Option<[usize; 4]> {
        let &[batch, height, width, channels] = x else { return None };
        if !(1..=MAX_WINDOW).contains(&self.kernel) || self.stride == 0 || 2 * self.padding > self.kernel {
            return None;
        }
        let along = |size: usize| {
            let room = (size + 2 * self.padding).checked_sub(self.kernel).filter(|_| size > 0)?;
            Some(room / self.stride + 1)
        };
        Some([batch, along(height)?, along(width)?, channels])
    }

    fn params(self, x: &Value, y: &Value) -> Params {
        Params {
            batch: x.shape[0] as u32,
            quads: x.quads() as u32,
            in_h: x.shape[1] as u32,
            in_w: x.shape[2] as u32,
            out_h: y.shape[1] as u32,
            out_w: y.shape[2] as u32,
            kernel: self.kernel as u32,
            stride: self.stride as u32,
            padding: self.padding as u32,
        }
    }
}

/// Input `x [B,H,W,C]`; output `[B,OH,OW,C]` with `OH = floor((H + 2 padding - kernel) / stride) + 1`, as PyTorch's.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// Windows.
    pub pool: Pool,
}

/// Inputs `x` and `dy`; output `dx`. Of equal maxima the first in the order of rows has the
/// gradient, as in PyTorch; a window whose maximum is NaN passes none on.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dGrad {
    /// Windows.
    pub pool: Pool,
}

/// Records the largest value of every window of `x` `[B,H,W,C]`.
///
/// # Errors
/// [`Error::Shape`] if `x` is not of rank 4 or the windows do not fit it.
pub fn max_pool2d(tape: &mut Tape, x: ValueId, pool: Pool) -> Result<ValueId> {
    tape.push1(MaxPool2d { pool }, &[x])
}

impl Op for MaxPool2d {
    fn stem(&self) -> &'static str {
        "max_pool2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let x = inputs[0];
        let shape = self.pool.pooled(&x.shape).ok_or_else(|| {
            let want = format!("[B,H,W,C], windows of 1 to {MAX_WINDOW}, padding of at most half a window");
            Error::shape(
                "max_pool2d",
                format!("x `{}` {:?} and {:?} where {want} are needed", x.name, x.shape, self.pool),
            )
        })?;
        Ok(vec![Spec::f32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = self.pool.params(l.input(0), l.output(0));
        let groups = grid(l.output(0).padded_len() / 4, 64);
        l.dispatch("max_pool2d", "max_pool2d", &params, &[("x", l.read(0)), ("out", l.write(0))], groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let shape = self.pool.pooled(&inputs[0].shape).expect("the shape rule has accepted it");
        vec![oracle::max_pool2d::max_pool2d(inputs[0], &shape, self.pool.into())]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(tape.push1(MaxPool2dGrad { pool: self.pool }, &[node.inputs[0], g])?)])
    }

    fn flops(&self, _: &[&Value], outputs: &[&Value]) -> u64 {
        (self.pool.kernel * self.pool.kernel * outputs[0].len()) as u64
    }
}

impl Op for MaxPool2dGrad {
    fn stem(&self) -> &'static str {
        "max_pool2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = self.pool.params(l.input(0), l.input(1));
        let windows = l.input(1).padded_len() / 4;
        let places = l.scratch(windows);
        let bindings = [("x", l.read(0)), ("places_out", places)];
        l.dispatch("max_pool2d", "max_pool2d_places", &params, &bindings, grid(windows, 64));
        let bindings = [("places", places), ("dy", l.read(1)), ("out", l.write(0))];
        let groups = grid(l.output(0).padded_len() / 4, 64);
        l.dispatch("max_pool2d", "max_pool2d_grad", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::max_pool2d::grad(inputs[0], inputs[1], self.pool.into())]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        (self.pool.kernel * self.pool.kernel * inputs[1].len()) as u64
    }
}

/// Different numbers in random order: no two are nearer than 1e-3, so no difference step changes which is the largest.
fn distinct(shape: &[usize]) -> Fill {
    let count: usize = shape.iter().product();
    let mut values: Vec<f32> = (0..count).map(|i| (i as f32 - count as f32 / 2.0) * 1e-3).collect();
    Rng::new(0x9001, count as u32).shuffle(&mut values);
    Fill::Values(values)
}

pub(super) fn cases() -> Vec<Case> {
    let pool = |kernel, stride, padding| Pool { kernel, stride, padding };
    let record = |name: &str, x: Input, pool: Pool| {
        Case::new(name, vec![x], move |t, v| Ok(vec![max_pool2d(t, v[0], pool)?]))
    };
    let case = |name: &str, shape: [usize; 4], pool| record(name, Input::f32(&shape, distinct(&shape)), pool);
    // Where differences say nothing, the gradient is recorded by itself.
    let with_gradient = |name: &str, x: Input, pool: Pool| {
        let pooled = pool.pooled(&x.shape).expect("it fits");
        let dy = Input::fixed(&pooled, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x, dy], move |t, v| {
            max_pool2d(t, v[0], pool)?;
            t.push1(MaxPool2dGrad { pool }, &[v[0], v[1]])?;
            Ok(vec![])
        })
    };
    // Half the values are zeros, as behind a ReLU, and the others whole numbers: every window has ties.
    let ties = |name: &str, shape: [usize; 4], pool: Pool| {
        let x = (0..shape.iter().product()).map(|i: usize| (i * 7 % 11 % 4).saturating_sub(1) as f32);
        with_gradient(name, Input::fixed(&shape, Fill::Values(x.collect())), pool)
    };
    let broken = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 7.0, -7.0, f32::NEG_INFINITY];
    let broken = Input::fixed(&[1, 1, 6, 1], Fill::Values(broken.to_vec()));
    vec![
        case("3x3, stride 2, even", [2, 8, 12, 5], pool(3, 2, 1)),
        case("3x3, stride 2, odd", [2, 9, 11, 13], pool(3, 2, 1)),
        case("2x2, stride 2", [1, 7, 10, 4], pool(2, 2, 0)),
        case("3x3, stride 1", [1, 6, 5, 3], pool(3, 1, 1)),
        case("5x5, stride 3", [1, 13, 9, 6], pool(5, 3, 2)),
        case("2x2, stride 3: pixels in no window", [1, 8, 9, 3], pool(2, 3, 1)),
        case("15x15, stride 4", [1, 17, 21, 2], pool(15, 4, 7)),
        case("one pixel", [2, 1, 1, 1], pool(3, 2, 1)),
        ties("ties, 3x3, stride 2", [2, 9, 12, 7], pool(3, 2, 1)),
        ties("ties, 3x3, stride 1", [1, 6, 7, 4], pool(3, 1, 1)),
        with_gradient("not finite", broken, pool(3, 1, 1)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn windows_without_a_pixel_are_refused() {
        let outcome = |shape: &[usize], kernel, stride, padding| {
            let mut tape = Tape::new();
            let x = tape.input("x", shape, DType::F32);
            let y = max_pool2d(&mut tape, x, Pool { kernel, stride, padding });
            y.map(|y| tape.value(y).shape.clone()).map_err(|e| e.to_string())
        };
        assert_eq!(outcome(&[2, 360, 481, 3], 3, 2, 1), Ok(vec![2, 180, 241, 3]));
        for (shape, kernel, stride, padding) in [
            (&[4, 4, 3][..], 3, 2, 1),
            (&[1, 2, 9, 3], 3, 2, 0),
            (&[1, 0, 9, 3], 3, 2, 1),
            (&[1, 9, 9, 3], 3, 2, 2),
            (&[1, 9, 9, 3], 3, 0, 1),
            (&[1, 99, 99, 3], 16, 2, 1),
            (&[1, 9, 9, 3], 0, 1, 0),
        ] {
            let error = outcome(shape, kernel, stride, padding).expect_err("refused");
            assert!(error.contains("max_pool2d") && error.contains("padding"), "{error}");
        }
    }
}
