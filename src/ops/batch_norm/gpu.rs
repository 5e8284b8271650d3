//! Batch normalisation on GPUs (`shaders/nn/batch_norm.gpu.wgsl`): three dispatches each way, whatever the size.

use super::Act;
use crate::gpu::{Slot, uniform};
use crate::ops::strips::Strips;
use crate::tape::{Launch, Value};

const SHADER: &str = "batch_norm.gpu";

uniform! {
    struct Params {
        rows: u32,
        quads: u32,
        channels: u32,
        wide: u32,
        block_rows: u32,
        batch_rows: u32,
        batch_block_rows: u32,
        eps: f32,
        low: f32,
        high: f32,
        weight: f32,
    }
}

impl Params {
    /// The same for a kernel that walks `strips`.
    fn over(&self, strips: &Strips) -> Self {
        Self { rows: strips.rows, wide: strips.wide, block_rows: strips.block_rows, ..*self }
    }
}

fn params(x: &Value, eps: f32, act: Act) -> (Strips, Params) {
    let strips = Strips::new(x.rows(), x.quads());
    let (low, high) = act.range();
    let params = Params {
        rows: strips.rows,
        quads: strips.quads,
        channels: x.channels() as u32,
        wide: strips.wide,
        block_rows: strips.block_rows,
        batch_rows: strips.rows,
        batch_block_rows: strips.block_rows,
        eps,
        low,
        high,
        weight: 1.0 / strips.rows as f32,
    };
    (strips, params)
}

/// Mean and variance of input 0 into outputs 1 and 2.
pub(super) fn statistics(l: &mut Launch<'_>, eps: f32, act: Act) {
    let (strips, params) = params(l.input(0), eps, act);
    let parts = l.scratch(strips.parts_len(2));
    let bindings = [("x", l.read(0)), ("parts_out", parts)];
    l.dispatch(SHADER, "batch_norm_stats", &params, &bindings, strips.grid());
    let finish = strips.finish();
    let bindings = [("parts", parts), ("mean_out", l.write(1)), ("variance_out", l.write(2))];
    l.dispatch(SHADER, "batch_norm_finish", &params.over(&finish), &bindings, finish.grid());
}

/// Output 0 of inputs 0 to 2 and the statistics.
pub(super) fn apply(l: &mut Launch<'_>, eps: f32, act: Act, [mean, variance]: [Slot; 2]) {
    let (strips, params) = params(l.input(0), eps, act);
    let bindings = [
        ("x", l.read(0)),
        ("gamma", l.read(1)),
        ("beta", l.read(2)),
        ("mean", mean),
        ("variance", variance),
        ("out", l.write(0)),
    ];
    l.dispatch(SHADER, "batch_norm", &params, &bindings, strips.grid());
}

/// All of [`BatchNormGrad`](super::BatchNormGrad).
pub(super) fn gradient(l: &mut Launch<'_>, eps: f32, act: Act, frozen: bool) {
    let (strips, mut params) = params(l.input(0), eps, act);
    if frozen {
        params.weight = 0.0;
    }
    let parts = l.scratch(strips.parts_len(2));
    let [x, dy] = [l.read(0), l.read(5)];
    let vectors = [("gamma", l.read(1)), ("beta", l.read(2)), ("mean", l.read(3)), ("variance", l.read(4))];
    let bindings = [&vectors[..], &[("x", x), ("dy", dy), ("parts_out", parts)]].concat();
    l.dispatch(SHADER, "batch_norm_grad_sums", &params, &bindings, strips.grid());
    let constants = l.scratch(20 * strips.quads as usize);
    let outputs =
        [("parts", parts), ("dgamma", l.write(1)), ("dbeta", l.write(2)), ("constants_out", constants)];
    let bindings = [&vectors[..], &outputs].concat();
    let finish = strips.finish();
    l.dispatch(SHADER, "batch_norm_grad_finish", &params.over(&finish), &bindings, finish.grid());
    let bindings = [("x", x), ("dy", dy), ("constants", constants), ("out", l.write(0))];
    l.dispatch(SHADER, "batch_norm_grad", &params, &bindings, strips.grid());
}
