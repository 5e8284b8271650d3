//! Which kernel a dense convolution, its gradient with respect to the input and that of its weights get.

use crate::gpu::{Caps, Gemm, GemmKind, Slot, Variant, grid};
use crate::tape::Launch;

use super::geometry::{Params, Slots};
use crate::ops::walk::touch;

/// Appends a dense convolution (or the gradient with respect to its input) that `params` describes. The families `f16` and `matrix` round `x` and `w` to 16 bits on the way in: results then differ from
/// those of `f32` by at most about 1e-3 of their maximum.
pub(super) fn dense(l: &mut Launch<'_>, params: &Params, slots: &Slots) {
    match l.caps.variant {
        Variant::Matrix => matrix(l, params, slots),
        Variant::F16 => tiled(l, "conv2d.f16", params, slots),
        Variant::Gpu | Variant::Subgroup => tiled(l, "conv2d.gpu", params, slots),
        Variant::Floor | Variant::Software => {
            let (shader, groups) = registers(l.caps, params);
            l.dispatch(shader, "conv2d", params, &slots.bindings(), groups);
            let [addend, bounded] = slots.constants(params);
            let constants = [addend, bounded, ("POINTWISE", f64::from(u8::from(is_point(params))))];
            // The register tiles have no use for the last one.
            l.constants(&constants[..if shader == "conv2d" { 2 } else { 3 }]);
        }
    }
}

/// Tiles in registers: 32x32 by broadcast on software adapters, unless there are so few output channels that most of a
/// tile would be idle.
fn registers(caps: &Caps, params: &Params) -> (&'static str, [u32; 3]) {
    let (pixels, quads) = (params.num_pixels as usize, params.quads_out as usize);
    if caps.variant == Variant::Software && quads > 2 {
        ("conv2d.software", grid(pixels.div_ceil(32) * quads.div_ceil(8), 1))
    } else {
        ("conv2d", grid(pixels.div_ceil(8) * quads.div_ceil(2), 64))
    }
}

/// 1x1, stride 1, no padding: the source pixel is the output pixel.
const fn is_point(params: &Params) -> bool {
    let unpadded = params.pad_h == 0 && params.pad_w == 0;
    // Sizes are compared too: a gradient's rows and columns may go beyond what the forward pass read.
    let same = params.in_h == params.out_h && params.in_w == params.out_w;
    params.kernel_h * params.kernel_w == 1 && params.stride == 1 && params.fraction == 1 && unpadded && same
}

/// `override` constants that spare the kernel geometry that this convolution does not have.
fn reading(params: &Params) -> [(&'static str, f64); 2] {
    let flag = |on: bool| f64::from(u8::from(on));
    [("POINT", flag(is_point(params))), ("BETWEEN", flag(params.fraction > 1))]
}

/// Tiles in workgroup memory.
fn tiled(l: &mut Launch<'_>, shader: &'static str, params: &Params, slots: &Slots) {
    let depth = 4 * params.kernel_h * params.kernel_w * params.quads_in;
    let kind = if is_point(params) { GemmKind::Point } else { GemmKind::Conv };
    let gemm = Gemm { rows: params.num_pixels, columns: 4 * params.quads_out, depth, kind };
    let tile = l.tile(gemm);
    let entry = if tile.side() == 8 { "conv2d_8" } else { "conv2d_4" };
    let groups = tile_grid(&gemm, [tile.rows(), tile.columns()], 1);
    l.dispatch(shader, entry, params, &slots.bindings(), groups);
    l.constants(&[&tile.constants()[..], &reading(params)[..], &slots.constants(params)[..]].concat());
    l.measured(gemm);
}

/// Tiles of 64x64 on cooperative matrices, four subgroups each.
fn matrix(l: &mut Launch<'_>, params: &Params, slots: &Slots) {
    let gemm =
        Gemm { rows: params.num_pixels, columns: 4 * params.quads_out, depth: 0, kind: GemmKind::Conv };
    let entry = if l.caps.matrix_size == 16 { "conv2d_16" } else { "conv2d_8" };
    let invocations = f64::from(4 * l.caps.subgroup_size);
    l.dispatch("conv2d.matrix", entry, params, &slots.bindings(), tile_grid(&gemm, [64, 64], 1));
    l.constants(
        &[&[("INVOCATIONS", invocations)][..], &reading(params)[..], &slots.constants(params)[..]].concat(),
    );
}

/// One workgroup per tile of `count` products.
fn tile_grid(gemm: &Gemm, [rows, columns]: [usize; 2], count: usize) -> [u32; 3] {
    grid((gemm.rows as usize).div_ceil(rows) * (gemm.columns as usize).div_ceil(columns) * count, 1)
}

/// The gradient of the weights as a product of matrices: rows are taps and input channels, the depth is the pixels of all
/// splits.
fn weights_gemm(params: &Params) -> Gemm {
    let rows = 4 * params.kernel_h * params.kernel_w * params.quads_in;
    Gemm { rows, columns: 4 * params.quads_out, depth: params.num_pixels, kind: GemmKind::Weights }
}

/// About how many pixels a split of the weight gradient takes. On GPUs fewer where the weights are small, so that there are
/// enough workgroups: a rule on the shape alone, since splits order the sum.
pub(super) fn split_pixels(caps: &Caps, params: &Params) -> usize {
    /// Tiles and splits together that fill a large GPU.
    const ENOUGH: usize = 512;
    if !caps.variant.is_parallel() {
        return 1024;
    }
    let gemm = weights_gemm(params);
    let tiles = gemm.rows.div_ceil(64) as usize * gemm.columns.div_ceil(64) as usize;
    (params.num_pixels as usize * tiles / ENOUGH).clamp(64, 1024)
}

/// The same for sums that one invocation per split and quad of channels takes: depthwise weights and biases.
pub(super) fn fewer_pixels(caps: &Caps, params: &Params) -> usize {
    /// Invocations that fill a large GPU.
    const ENOUGH: usize = 32_768;
    if !caps.variant.is_parallel() {
        return 512;
    }
    (params.num_pixels as usize * params.quads_out as usize / ENOUGH).clamp(64, 512)
}

/// Appends the partial weight gradients of all splits: bindings `x`, `dy` and `y`.
pub(super) fn weights(l: &mut Launch<'_>, params: &Params, bindings: &[(&'static str, Slot); 3]) {
    if l.caps.variant.is_parallel() {
        let gemm = weights_gemm(params);
        let tile = l.tile(gemm);
        let entry = if tile.side() == 8 { "conv2d_dw_8" } else { "conv2d_dw_4" };
        let groups = tile_grid(&gemm, [tile.rows(), tile.columns()], params.num_splits as usize);
        l.dispatch("conv2d.weights.gpu", entry, params, bindings, groups);
        let [point, _] = reading(params);
        l.constants(&[&tile.constants()[..], &[point][..]].concat());
        l.measured(gemm);
        return;
    }
    let (quads_in, quads_out) = (params.quads_in as usize, params.quads_out as usize);
    let count = (params.kernel_h * params.kernel_w * params.num_splits) as usize;
    let (shader, groups) = if l.caps.variant == Variant::Software && quads_in > 2 && quads_out > 2 {
        ("conv2d.software", grid(count * quads_in.div_ceil(8) * quads_out.div_ceil(8), 1))
    } else {
        ("conv2d", grid(count * quads_in.div_ceil(2) * quads_out.div_ceil(2), 64))
    };
    l.dispatch(shader, "conv2d_dw", params, bindings, groups);
    if shader == "conv2d.software" {
        l.constants(&[touch(l.caps)]);
    }
}
