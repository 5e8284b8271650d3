//! Layer normalisation over the channels of every row (spec sections 3, 4 and 9.5).

use super::strips::Strips;
use super::table::{Case, Fill, Input};
use super::walk::{Walk, check, merge_columns};
use crate::error::{Error, Result};
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

/// Rows per invocation of the column kernels at most.
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
        team: u32,
        eps: f32,
    }
}

uniform! {
    struct ColumnParams { rows: u32, quads: u32, channels: u32, wide: u32, block_rows: u32 }
}

/// Inputs `x` `[.., D]`, `gamma` `[D]`, `beta` `[D]`; outputs `y` and, for the gradient, mean and inverse deviation of
/// every row as `[2 * rows]` in pairs.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f32,
}

/// Inputs `x`, `gamma`, the pairs of [`LayerNorm`], `dy`; outputs `dx`, `dgamma`, `dbeta`.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormGrad;

/// Records `gamma * (x - mean) / sqrt(var + eps) + beta` over the last axis of `x` `[.., D]`, with the biased variance.
///
/// # Errors
/// [`Error::Shape`] if `gamma` or `beta` is not `[D]`, or `x` has fewer than two axes.
pub fn layer_norm(tape: &mut Tape, x: ValueId, gamma: ValueId, beta: ValueId, eps: f32) -> Result<ValueId> {
    Ok(tape.push(LayerNorm { eps }, &[x, gamma, beta])?[0])
}

/// The column walk, the uniform, and the workgroups of the row kernels.
fn params(l: &Launch<'_>, eps: f32) -> (Walk, Params, [u32; 3]) {
    let x = l.input(0);
    let walk = Walk::new(x.rows(), x.quads(), ROWS);
    // A single lane would take too long over a very wide row, even where barriers are dear.
    let team = if x.quads() >= if l.caps.is_serial() { 256 } else { 8 } { 8 } else { 1 };
    let params = Params {
        rows: walk.rows,
        quads: walk.quads,
        channels: x.channels() as u32,
        team_rows: walk.team_rows,
        block_rows: walk.block_rows,
        num_parts: walk.num_parts,
        parts_in: walk.num_parts,
        team,
        eps,
    };
    (walk, params, grid(x.rows() * team as usize, 64))
}

fn column_params(x: &Value, strips: &Strips) -> ColumnParams {
    let Strips { rows, quads, wide, block_rows, .. } = *strips;
    ColumnParams { rows, quads, channels: x.channels() as u32, wide, block_rows }
}

/// What follows the rows' means in the gradient: two dispatches, whatever the size (`shaders/nn/layer_norm.gpu.wgsl`).
fn columns_on_gpu(l: &mut Launch<'_>, inputs: &[(&'static str, Slot)]) {
    let x = l.input(0);
    let strips = Strips::new(x.rows(), x.quads());
    let parts = l.scratch(strips.parts_len(2));
    let bindings = [inputs, &[("parts_out", parts)]].concat();
    let params = column_params(x, &strips);
    l.dispatch("layer_norm.gpu", "layer_norm_grad", &params, &bindings, strips.grid());
    let finish = strips.finish();
    let bindings = [("parts", parts), ("dgamma", l.write(1)), ("dbeta", l.write(2))];
    let params = column_params(x, &finish);
    l.dispatch("layer_norm.gpu", "layer_norm_grad_finish", &params, &bindings, finish.grid());
}

impl Op for LayerNorm {
    fn stem(&self) -> &'static str {
        "layer_norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("layer_norm", inputs[0], &inputs[1..])?;
        Ok(vec![Spec::f32(&inputs[0].shape), Spec::f32(&[2 * inputs[0].rows()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (walk, params, row_groups) = params(l, self.eps);
        let bindings = [("x", l.read(0)), ("stats_out", l.write(1))];
        l.dispatch("layer_norm", "layer_norm_stats", &params, &bindings, row_groups);
        let bindings = [
            ("x", l.read(0)),
            ("gamma", l.read(1)),
            ("beta", l.read(2)),
            ("stats", l.write(1)),
            ("out", l.write(0)),
        ];
        if l.caps.variant.is_parallel() {
            let strips = Strips::new(l.input(0).rows(), l.input(0).quads());
            let params = column_params(l.input(0), &strips);
            l.dispatch("layer_norm.gpu", "layer_norm", &params, &bindings, strips.grid());
            return;
        }
        l.dispatch("layer_norm", "layer_norm", &params, &bindings, walk.grid());
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let stats = oracle::layer_norm::stats(inputs[0], self.eps.into());
        vec![oracle::layer_norm::layer_norm(inputs[0], inputs[1], inputs[2], &stats), stats]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 3]) };
        let out = tape.push(LayerNormGrad, &[node.inputs[0], node.inputs[1], node.outputs[1], g])?;
        Ok(out.into_iter().map(Some).collect())
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        8 * inputs[0].len() as u64
    }
}

impl Op for LayerNormGrad {
    fn stem(&self) -> &'static str {
        "layer_norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [x, gamma, stats, dy] = [inputs[0], inputs[1], inputs[2], inputs[3]];
        check("layer_norm", x, &[gamma])?;
        if dy.shape != x.shape || stats.shape != [2 * x.rows()] {
            let problem = format!("gradient {:?} and {:?} for {:?}", dy.shape, stats.shape, x.shape);
            return Err(Error::shape("layer_norm", problem));
        }
        Ok(vec![Spec::f32(&x.shape), Spec::f32(&gamma.shape), Spec::f32(&gamma.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        // The statistics already hold eps.
        let (walk, mut params, row_groups) = params(l, 0.0);
        let quads = walk.quads as usize;
        let sums = l.scratch(2 * walk.rows as usize);
        let inputs = [("x", l.read(0)), ("gamma", l.read(1)), ("stats", l.read(2)), ("dy", l.read(3))];
        let bindings = [&inputs[..], &[("sums_out", sums)]].concat();
        l.dispatch("layer_norm", "layer_norm_grad_rows", &params, &bindings, row_groups);
        let inputs = [&inputs[..], &[("sums", sums), ("out", l.write(0))]].concat();
        if l.caps.variant.is_parallel() {
            return columns_on_gpu(l, &inputs);
        }
        let parts = l.scratch(walk.num_parts as usize * 8 * quads);
        let bindings = [&inputs[..], &[("parts_out", parts)]].concat();
        l.dispatch("layer_norm", "layer_norm_grad", &params, &bindings, walk.grid());
        let (parts, left) = merge_columns(l, "layer_norm", parts, walk.num_parts, 2 * quads);
        params.parts_in = left;
        let bindings = [("parts", parts), ("dgamma", l.write(1)), ("dbeta", l.write(2))];
        l.dispatch("layer_norm", "layer_norm_grad_finish", &params, &bindings, grid(quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::layer_norm::gradient(inputs[0], inputs[1], inputs[2], inputs[3])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        14 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: &[usize], range: (f32, f32)| {
        let channels = [shape[shape.len() - 1]];
        let inputs = vec![
            Input::f32(shape, Fill::Uniform(range.0, range.1)),
            Input::f32(&channels, Fill::Uniform(0.5, 1.5)),
            Input::f32(&channels, Fill::Uniform(-0.5, 0.5)),
        ];
        Case::new(name, inputs, |t, v| Ok(vec![layer_norm(t, v[0], v[1], v[2], 1e-5)?]))
    };
    let spike = {
        let mut values = vec![0.0; 3 * 725];
        (values[0], values[725 + 300], values[2 * 725 + 724]) = (1.0, -40.0, 3.0);
        let mut case = case("one large channel", &[3, 725], (0.0, 1.0));
        case.inputs[0].fill = Fill::Values(values);
        case
    };
    // With two channels dx is the difference of nearly equal numbers (spec section 16).
    let pair = case("2 channels", &[33, 2], (-1.0, 1.0)).tolerance(1e-4);
    // With one channel nothing depends on x: the differences see only their own rounding. dx = (gz - mean(gz)) / deviation is
    // 0, but gz is not rounded before it is subtracted where a device contracts, and 1 / deviation is 1 / sqrt(1e-5) = 316.
    let mut single = case("1 channel", &[5, 3, 1], (-1.0, 1.0)).terms(316.0);
    single.inputs[0].grad = false;
    vec![
        single,
        pair,
        case("3 channels", &[7, 3], (-1.0, 1.0)),
        case("19 channels", &[2, 3, 5, 19], (-1.0, 3.0)),
        case("a team per row", &[9, 1030], (-1.0, 1.0)),
        case("2048 channels", &[3, 2048], (-1.0, 1.0)),
        case("many rows", &[30_011, 5], (-1.0, 2.0)),
        spike,
    ]
}
