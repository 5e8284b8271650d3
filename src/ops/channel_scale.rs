//! A learned factor per channel (LayerScale, Touvron et al. 2021).

use super::strips::Strips;
use super::table::{Case, Fill, Input};
use super::walk::{Walk, check, merge_columns};
use crate::error::{Error, Result};
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

/// Rows per invocation at most.
const ROWS: usize = 64;

uniform! {
    struct Params {
        rows: u32,
        quads: u32,
        channels: u32,
        team_rows: u32,
        block_rows: u32,
        num_parts: u32,
        parts_in: u32,
    }
}

uniform! {
    struct GpuParams { rows: u32, quads: u32, channels: u32, wide: u32, block_rows: u32 }
}

/// Inputs `x` `[.., D]` and `gamma` `[D]`; output `x gamma`.
#[derive(Clone, Copy, Debug)]
pub struct ChannelScale;

/// Inputs `x`, `gamma`, `dy`; outputs `dx`, `dgamma`.
#[derive(Clone, Copy, Debug)]
pub struct ChannelScaleGrad;

/// Records `x` `[.., D]` times `gamma` `[D]`.
///
/// # Errors
/// [`Error::Shape`] if `gamma` is not `[D]`, or `x` has fewer than two axes.
pub fn channel_scale(tape: &mut Tape, x: ValueId, gamma: ValueId) -> Result<ValueId> {
    tape.push1(ChannelScale, &[x, gamma])
}

fn params(x: &Value) -> (Walk, Params) {
    let walk = Walk::new(x.rows(), x.quads(), ROWS);
    let params = Params {
        rows: walk.rows,
        quads: walk.quads,
        channels: x.channels() as u32,
        team_rows: walk.team_rows,
        block_rows: walk.block_rows,
        num_parts: walk.num_parts,
        parts_in: walk.num_parts,
    };
    (walk, params)
}

fn gpu_params(x: &Value, strips: &Strips) -> GpuParams {
    let Strips { rows, quads, wide, block_rows, .. } = *strips;
    GpuParams { rows, quads, channels: x.channels() as u32, wide, block_rows }
}

/// Two dispatches, whatever the size (`shaders/nn/channel_scale.gpu.wgsl`).
fn gradient_on_gpu(l: &mut Launch<'_>, inputs: &[(&'static str, Slot)]) {
    let x = l.input(0);
    let strips = Strips::new(x.rows(), x.quads());
    let parts = l.scratch(strips.parts_len(1));
    let bindings = [inputs, &[("parts_out", parts)]].concat();
    let params = gpu_params(x, &strips);
    l.dispatch("channel_scale.gpu", "channel_scale_grad", &params, &bindings, strips.grid());
    let finish = strips.finish();
    let bindings = [("parts", parts), ("dgamma", l.write(1))];
    let params = gpu_params(x, &finish);
    l.dispatch("channel_scale.gpu", "channel_scale_finish", &params, &bindings, finish.grid());
}

impl Op for ChannelScale {
    fn stem(&self) -> &'static str {
        "channel_scale"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("channel_scale", inputs[0], &inputs[1..])?;
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() {
            let strips = Strips::new(l.input(0).rows(), l.input(0).quads());
            let bindings = [("x", l.read(0)), ("gamma", l.read(1)), ("out", l.write(0))];
            let params = gpu_params(l.input(0), &strips);
            l.dispatch("channel_scale.gpu", "channel_scale", &params, &bindings, strips.grid());
            return;
        }
        let (walk, params) = params(l.input(0));
        let bindings = [("x", l.read(0)), ("gamma", l.read(1)), ("out", l.write(0))];
        l.dispatch("channel_scale", "channel_scale", &params, &bindings, walk.grid());
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::channel_scale::channel_scale(inputs[0], inputs[1])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 2]) };
        let out = tape.push(ChannelScaleGrad, &[node.inputs[0], node.inputs[1], g])?;
        Ok(out.into_iter().map(Some).collect())
    }
}

impl Op for ChannelScaleGrad {
    fn stem(&self) -> &'static str {
        "channel_scale"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("channel_scale", inputs[0], &inputs[1..2])?;
        if inputs[2].shape != inputs[0].shape {
            let problem = format!("gradient {:?} for {:?}", inputs[2].shape, inputs[0].shape);
            return Err(Error::shape("channel_scale", problem));
        }
        Ok(inputs[..2].iter().map(|x| Spec::f32(&x.shape)).collect())
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let inputs = [("x", l.read(0)), ("gamma", l.read(1)), ("dy", l.read(2)), ("out", l.write(0))];
        if l.caps.variant.is_parallel() {
            return gradient_on_gpu(l, &inputs);
        }
        let (walk, mut params) = params(l.input(0));
        let quads = walk.quads as usize;
        let parts = l.scratch(walk.num_parts as usize * 4 * quads);
        let bindings = [&inputs[..], &[("parts_out", parts)]].concat();
        l.dispatch("channel_scale", "channel_scale_grad", &params, &bindings, walk.grid());
        let (parts, left) = merge_columns(l, "channel_scale", parts, walk.num_parts, quads);
        params.parts_in = left;
        let bindings = [("parts", parts), ("dgamma", l.write(1))];
        l.dispatch("channel_scale", "channel_scale_finish", &params, &bindings, grid(quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::channel_scale::gradient(inputs[0], inputs[1], inputs[2]).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize]| {
        let gamma = Input::f32(&shape[shape.len() - 1..], Fill::Uniform(-0.5, 1.5));
        let inputs = vec![Input::f32(shape, Fill::Uniform(-1.0, 1.0)), gamma];
        Case::new(name, inputs, |t, v| Ok(vec![channel_scale(t, v[0], v[1])?]))
    };
    vec![
        case("1 channel", &[5, 3, 1]),
        case("19 channels", &[2, 3, 5, 19]),
        case("1030 channels", &[7, 1030]),
        case("many rows", &[30_011, 5]),
    ]
}
