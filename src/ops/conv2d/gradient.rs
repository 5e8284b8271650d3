//! Gradients of the convolution with respect to its input, weights and bias.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::{Slot, grid, uniform};
use crate::ops::strips::Strips;
use crate::ops::walk::touch;
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Value};

use super::dense::{dense, fewer_pixels, split_pixels, weights};
use super::geometry::{Conv, Kind, Params, Slots, depthwise, group_constants, grouped, is_3x3};

uniform! {
    struct Sums { rows: u32, quads: u32, wide: u32, block_rows: u32 }
}

/// Inputs `dy`, `w`; output `dx` of shape `x_shape`. With `accumulate` the third input is the output's own old content.
#[derive(Clone, Debug)]
pub struct Conv2dDx {
    /// The forward convolution.
    pub conv: Conv,
    /// Shape of the forward input.
    pub x_shape: Vec<usize>,
    /// Whether `dx` is added to what the output holds.
    pub accumulate: bool,
}

/// Inputs `x`, `dy`; output `dw` of shape `w_shape`.
#[derive(Clone, Debug)]
pub struct Conv2dDw {
    /// The forward convolution.
    pub conv: Conv,
    /// Shape of the weights.
    pub w_shape: Vec<usize>,
}

/// Input `dy`; output `db [Co]`, the sum over pixels.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dDb;

impl Op for Conv2dDx {
    fn stem(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&self.x_shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (dy, w, dx) = (l.input(0), l.input(1), l.output(0));
        let mut params = Params::backward(self.conv, dx, w, dy);
        let (w_slot, y) = (l.read(1), l.write(0));
        let slots = Slots { x: l.read(0), w: w_slot, bias: None, skip: self.accumulate.then_some(y), y };
        match Kind::of(self.conv, self.x_shape[3], w.shape[3]) {
            Kind::Depthwise => {
                params.reversed = 1;
                depthwise(l, params, &slots);
            }
            Kind::Dense => {
                let forward = Params { quads_in: dx.quads() as u32, quads_out: dy.quads() as u32, ..params };
                let taps = w.shape[0] * w.shape[1];
                let flipped = l.scratch(taps * dy.quads() * 4 * dx.quads() * 4);
                let blocks = grid(taps * dy.quads() * dx.quads(), 64);
                l.dispatch("conv2d", "flip", &forward, &[("w", w_slot), ("y", flipped)], blocks);
                dense(l, &params, &Slots { w: flipped, ..slots });
            }
            Kind::Grouped => grouped(l, "conv2d_dx", params, &slots, group_constants(self.conv, dx, w)),
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let dx = oracle::conv2d::dx(inputs[0], inputs[1], &self.x_shape, &self.conv.into());
        vec![if self.accumulate { oracle::add::add(inputs[2], &dx, 1.0) } else { dx }]
    }

    fn accumulating(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { accumulate: true, ..self.clone() }))
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[0].len() as u64 * inputs[1].shape[..3].iter().product::<usize>() as u64
    }
}

impl Op for Conv2dDw {
    fn stem(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, _: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&self.w_shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (x, dy, dw) = (l.input(0), l.input(1), l.output(0));
        let mut params = Params::forward(self.conv, x, dw, dy);
        let floats = dw.padded_len();
        let (x_slot, dy_slot, out) = (l.read(0), l.read(1), l.write(0));
        match Kind::of(self.conv, x.shape[3], self.w_shape[3]) {
            Kind::Depthwise => {
                let strips = is_3x3(&params) && params.stride <= 2;
                let (shader, entry, count) = if strips {
                    params = params.strips(l.caps, params.out_h);
                    let entry = if params.stride == 1 { "depthwise_dw_3x3" } else { "depthwise_dw_3x3_half" };
                    ("conv2d.depthwise_3x3", entry, 1)
                } else {
                    params.split(fewer_pixels(l.caps, &params), floats);
                    ("conv2d.depthwise", "depthwise_dw", self.w_shape[0] * self.w_shape[1])
                };
                let count = params.num_splits as usize * count * x.quads();
                partial(l, params, floats, out, |l, y| {
                    let bindings = [("x", x_slot), ("dy", dy_slot), ("y", y)];
                    l.dispatch(shader, entry, &params, &bindings, grid(count, 64));
                    if strips {
                        l.constants(&[touch(l.caps)]);
                    }
                });
            }
            Kind::Dense => {
                params.split(split_pixels(l.caps, &params), floats);
                partial(l, params, floats, out, |l, y| {
                    weights(l, &params, &[("x", x_slot), ("dy", dy_slot), ("y", y)]);
                });
            }
            _ => {
                params.split(1024, floats);
                let count = params.num_splits as usize * floats;
                let constants = group_constants(self.conv, x, dw);
                partial(l, params, floats, out, |l, y| {
                    let bindings = [("x", x_slot), ("dy", dy_slot), ("y", y)];
                    l.dispatch("conv2d.grouped", "conv2d_dw", &params, &bindings, grid(count, 64));
                    l.constants(&constants);
                });
            }
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::conv2d::dw(inputs[0], inputs[1], &self.w_shape, &self.conv.into())]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[1].len() as u64 * self.w_shape[..3].iter().product::<usize>() as u64
    }
}

impl Op for Conv2dDb {
    fn stem(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&[inputs[0].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (dy, db) = (l.input(0), l.output(0));
        if l.caps.variant.is_parallel() {
            let strips = Strips::new(dy.rows(), dy.quads());
            let parts = if strips.num_blocks == 1 { l.write(0) } else { l.scratch(strips.parts_len(1)) };
            sums(l, &strips, l.read(0), parts);
            if strips.num_blocks > 1 {
                sums(l, &strips.finish(), parts, l.write(0));
            }
            return;
        }
        let mut params = Params::forward(Conv::default(), dy, dy, dy);
        params.split(fewer_pixels(l.caps, &params), 4 * dy.quads());
        let (dy_slot, out) = (l.read(0), l.write(0));
        let count = params.num_splits as usize * dy.quads();
        partial(l, params, 4 * db.quads(), out, |l, y| {
            l.dispatch("conv2d", "conv2d_db", &params, &[("dy", dy_slot), ("y", y)], grid(count, 64));
        });
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::conv2d::db(inputs[0])]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

/// Adds up the rows of each block of `parts`, one row of `out` for each.
fn sums(l: &mut Launch<'_>, strips: &Strips, parts: Slot, out: Slot) {
    let Strips { rows, quads, wide, block_rows, .. } = *strips;
    let params = Sums { rows, quads, wide, block_rows };
    let bindings = [("parts", parts), ("parts_out", out)];
    l.dispatch("conv2d.sums.gpu", "conv2d_sums", &params, &bindings, strips.grid());
}

/// Runs `kernel` into scratch, one result of `floats` floats per split, and adds the results up in order; straight into
/// `out` if there is one split.
fn partial(
    l: &mut Launch<'_>,
    params: Params,
    floats: usize,
    out: Slot,
    kernel: impl FnOnce(&mut Launch<'_>, Slot),
) {
    if params.num_splits == 1 {
        return kernel(l, out);
    }
    // Partial results that one invocation adds up at most: a GPU has more invocations than there are results.
    let most = if l.caps.variant.is_parallel() { 32 } else { 256 };
    let mut parts = l.scratch(params.num_splits as usize * floats);
    kernel(l, parts);
    let quads = floats / 4;
    let mut left = params.num_splits;
    // Fewer parts, or more results, keep a device busy with an invocation per result.
    if l.caps.variant.is_parallel() && left > 8 && quads < 50_000 {
        return sums(l, &Strips::over_parts(left, quads as u32), parts, out);
    }
    while left > 1 {
        // Many are summed in groups first: more invocations at work, and loops that stay short.
        let groups = if left > most { left.div_ceil(most) } else { 1 };
        let y = if groups == 1 { out } else { l.scratch(groups as usize * floats) };
        let sums =
            Params { num_pixels: quads as u32, num_splits: left, split_rows: left.min(most), ..params };
        let count = groups as usize * quads;
        l.dispatch("conv2d", "sum_splits", &sums, &[("x", parts), ("y", y)], grid(count, 64));
        (parts, left) = (y, groups);
    }
}
