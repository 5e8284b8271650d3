//! Mean over the pixels of each image.

use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

use super::strips::Strips;
use super::table::{Case, Fill, Input};

uniform! {
    struct Params { batch: u32, pixels: u32, quads: u32, block: u32, num_blocks: u32, factor: f32 }
}

uniform! {
    struct GpuParams { rows: u32, quads: u32, wide: u32, block_rows: u32, num_blocks: u32, factor: f32 }
}

/// Input `x [B,H,W,C]`; output `[B,C]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalMean;

/// Input `dy [B,C]`; output `dx` of the given shape.
#[derive(Clone, Debug)]
pub struct GlobalMeanGrad {
    /// `[B,H,W,C]`.
    pub x_shape: Vec<usize>,
}

/// Records the mean over height and width.
///
/// # Errors
/// [`Error::Shape`] if `x` is not `[B,H,W,C]` or an image has no pixel.
pub fn global_mean(tape: &mut Tape, x: ValueId) -> Result<ValueId> {
    tape.push1(GlobalMean, &[x])
}

/// Pixels that one invocation sums, where a workgroup does not share them out; as many in one go if there are no more.
const ONE_BLOCK: usize = 256;

/// All pixels as one block.
fn params(shape: &[usize], quads: usize) -> Params {
    let pixels = shape[1] * shape[2];
    Params {
        batch: shape[0] as u32,
        pixels: pixels as u32,
        quads: quads as u32,
        block: pixels as u32,
        num_blocks: 1,
        factor: 1.0 / pixels as f32,
    }
}

/// Sums of blocks, then their sum: both about the square root of the pixels long.
fn launch_plain(l: &mut Launch<'_>) {
    let mut params = params(&l.input(0).shape, l.input(0).quads());
    let groups = |p: &Params| grid((p.batch * p.num_blocks * p.quads) as usize, 64);
    let pixels = params.pixels as usize;
    let mut x = l.read(0);
    if pixels > ONE_BLOCK {
        let block = pixels.isqrt();
        let num_blocks = pixels.div_ceil(block);
        let sums = l.scratch(params.batch as usize * num_blocks * params.quads as usize * 4);
        let blocks = Params { block: block as u32, num_blocks: num_blocks as u32, factor: 1.0, ..params };
        let bindings = [("x", x), ("out", sums)];
        l.dispatch("global_mean", "global_mean", &blocks, &bindings, groups(&blocks));
        (x, params.pixels, params.block) = (sums, num_blocks as u32, num_blocks as u32);
    }
    l.dispatch("global_mean", "global_mean", &params, &[("x", x), ("out", l.write(0))], groups(&params));
}

/// The same by workgroups that add with a tree.
fn launch_gpu(l: &mut Launch<'_>) {
    let x = l.input(0);
    let (batch, pixels) = (x.shape[0], x.shape[1] * x.shape[2]);
    let strips = Strips::new(pixels, x.quads());
    let (from, to, factor) = (l.read(0), l.write(0), 1.0 / pixels as f32);
    let sums = l.scratch(batch * strips.parts_len(1));
    let mut run = |s: &Strips, factor, from, to| {
        let Strips { rows, quads, wide, block_rows, num_blocks } = *s;
        let params = GpuParams { rows, quads, wide, block_rows, num_blocks, factor };
        let [across, down, _] = s.grid();
        let groups = [across, down, batch as u32];
        l.dispatch("global_mean.gpu", "global_mean", &params, &[("x", from), ("out", to)], groups);
    };
    if strips.num_blocks == 1 {
        return run(&strips, factor, from, to);
    }
    run(&strips, 1.0, from, sums);
    run(&strips.finish(), factor, sums, to);
}

impl Op for GlobalMean {
    fn stem(&self) -> &'static str {
        "global_mean"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        match inputs[0].shape[..] {
            [b, h, w, c] if h * w > 0 => Ok(vec![Spec::f32(&[b, c])]),
            _ => Err(Error::shape("global_mean", format!("x is {:?}, wanted [B,H,W,C]", inputs[0].shape))),
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() { launch_gpu(l) } else { launch_plain(l) }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::global_mean::global_mean(inputs[0])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let x_shape = tape.value(node.inputs[0]).shape.clone();
        Ok(vec![Some(tape.push1(GlobalMeanGrad { x_shape }, &[g])?)])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Op for GlobalMeanGrad {
    fn stem(&self) -> &'static str {
        "global_mean"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&self.x_shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(&self.x_shape, l.output(0).quads());
        let groups = grid((params.batch * params.pixels * params.quads) as usize, 64);
        l.dispatch(
            "global_mean",
            "global_mean_grad",
            &params,
            &[("x", l.read(0)), ("out", l.write(0))],
            groups,
        );
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::global_mean::grad(inputs[0], &self.x_shape)]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 4]| {
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], |t, v| Ok(vec![global_mean(t, v[0])?]))
    };
    vec![
        case("odd", [2, 3, 7, 5]),
        case("one pixel", [3, 1, 1, 1]),
        case("large", [1, 200, 101, 3]),
        case("huge", [2, 301, 257, 2]),
    ]
}
