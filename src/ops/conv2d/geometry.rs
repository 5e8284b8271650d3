//! Geometry of a convolution and the choice of its kernel.

use crate::gpu::{Caps, Slot, grid, uniform};
use crate::oracle;
use crate::tape::{Launch, Value};

/// Stride, padding, dilation and groups; the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Step between output pixels.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Groups of channels; the number of input channels for depthwise.
    pub groups: usize,
}

impl Default for Conv {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

impl From<Conv> for oracle::conv2d::Conv {
    fn from(c: Conv) -> Self {
        Self { stride: c.stride, padding: c.padding, dilation: c.dilation, groups: c.groups }
    }
}

impl Conv {
    /// Output height and width; `None` if the kernel does not fit.
    pub(super) fn output_size(self, x: &[usize], w: &[usize]) -> Option<(usize, usize)> {
        let along = |size: usize, kernel: usize| {
            let room = (size + 2 * self.padding).checked_sub(self.dilation * (kernel - 1) + 1)?;
            Some(room / self.stride + 1)
        };
        Some((along(x[1], w[0])?, along(x[2], w[1])?))
    }
}

/// See [`Params::split`].
const MAX_SPLIT_PIXELS: usize = 16_384;
/// See [`Params::split`].
const MAX_PARTIAL_BYTES: usize = 64 << 20;

/// Which family of kernels a convolution uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dense,
    Depthwise,
    Grouped,
}

impl Kind {
    /// By groups, input and output channels.
    pub(super) fn of(conv: Conv, inputs: usize, outputs: usize) -> Self {
        match conv.groups {
            1 => Self::Dense,
            groups if groups == inputs && groups == outputs => Self::Depthwise,
            _ => Self::Grouped,
        }
    }
}

uniform! {
    pub(super) struct Params {
        num_pixels: u32, out_h: u32, out_w: u32, in_h: u32, in_w: u32, quads_in: u32, quads_out: u32,
        kernel_h: u32, kernel_w: u32, stride: u32, fraction: u32, pad_h: i32, pad_w: i32, dilation: u32,
        has_bias: u32, reversed: u32, num_splits: u32, split_rows: u32, split_columns: u32, num_lines: u32,
        low: f32, high: f32,
    }
}

impl Params {
    /// The forward pass.
    pub(super) fn forward(conv: Conv, x: &Value, w: &Value, y: &Value) -> Self {
        Self {
            num_pixels: y.rows() as u32,
            out_h: y.shape[1] as u32,
            out_w: y.shape[2] as u32,
            in_h: x.shape[1] as u32,
            in_w: x.shape[2] as u32,
            quads_in: x.quads() as u32,
            quads_out: y.quads() as u32,
            kernel_h: w.shape[0] as u32,
            kernel_w: w.shape[1] as u32,
            stride: conv.stride as u32,
            fraction: 1,
            pad_h: conv.padding as i32,
            pad_w: conv.padding as i32,
            dilation: conv.dilation as u32,
            has_bias: 0,
            reversed: 0,
            num_splits: 1,
            split_rows: 1,
            split_columns: y.shape[2] as u32,
            num_lines: (y.shape[0] * y.shape[1]) as u32,
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        }
    }

    /// From `dy` back to `dx`: a convolution with stride 1 between pixels that lie `stride` apart.
    pub(super) fn backward(conv: Conv, dx: &Value, w: &Value, dy: &Value) -> Self {
        let pad = |kernel: usize| (conv.dilation * (kernel - 1)) as i32 - conv.padding as i32;
        Self {
            num_pixels: dx.rows() as u32,
            out_h: dx.shape[1] as u32,
            out_w: dx.shape[2] as u32,
            in_h: dy.shape[1] as u32,
            in_w: dy.shape[2] as u32,
            quads_in: dy.quads() as u32,
            quads_out: dx.quads() as u32,
            stride: 1,
            fraction: conv.stride as u32,
            pad_h: pad(w.shape[0]),
            pad_w: pad(w.shape[1]),
            num_lines: (dx.shape[0] * dx.shape[1]) as u32,
            ..Self::forward(conv, dx, w, dy)
        }
    }

    /// Cuts the pixels into splits of about `target` pixels for a weight gradient of `floats` floats per split.
    ///
    /// At most 16,384 pixels per split bound the loop (lavapipe ends an invocation after 65,535 iterations) and the
    /// rounding error. Up to there, splits grow until the partial results of all of them take about 64 MiB; beyond, there
    /// is one result per 16,384 pixels, whatever that comes to. Lines that do not fill splits evenly may double either.
    pub(super) fn split(&mut self, target: usize, floats: usize) {
        let room = (MAX_PARTIAL_BYTES / (4 * floats.max(1))).max(1);
        let target = target.max((self.num_pixels as usize).div_ceil(room)).min(MAX_SPLIT_PIXELS);
        let width = self.out_w as usize;
        self.split_columns = width.min(target) as u32;
        self.split_rows = (target / width).clamp(1, self.num_lines as usize) as u32;
        self.num_splits = self.num_lines.div_ceil(self.split_rows) * self.out_w.div_ceil(self.split_columns);
    }
}

/// Kernel and workgroups of a dense convolution: 32x32 tiles by broadcast on software adapters with subgroups of 8,
/// unless there are so few output channels that most of a tile would be idle.
fn tiles(caps: &Caps, params: &Params) -> (&'static str, [u32; 3]) {
    let (pixels, quads) = (params.num_pixels as usize, params.quads_out as usize);
    if broadcast(caps) && quads > 4 {
        ("conv2d.subgroup", grid(pixels.div_ceil(32) * quads.div_ceil(8), 1))
    } else {
        ("conv2d", grid(pixels.div_ceil(8) * quads.div_ceil(2), 64))
    }
}

/// The same for the weight gradient.
pub(super) fn tiles_dw(caps: &Caps, params: &Params) -> (&'static str, [u32; 3]) {
    let (quads_in, quads_out) = (params.quads_in as usize, params.quads_out as usize);
    let count = (params.kernel_h * params.kernel_w * params.num_splits) as usize;
    if broadcast(caps) && quads_in > 2 && quads_out > 2 {
        ("conv2d.subgroup", grid(count * quads_in.div_ceil(8) * quads_out.div_ceil(8), 1))
    } else {
        ("conv2d", grid(count * quads_in.div_ceil(2) * quads_out.div_ceil(2), 64))
    }
}

const fn broadcast(caps: &Caps) -> bool {
    caps.software && caps.subgroup_size == 8
}

/// What the kernels of a convolution read and write.
pub(super) struct Slots {
    pub x: Slot,
    pub w: Slot,
    pub bias: Option<Slot>,
    /// Added to the sums; the same slot as `y` adds to what that holds.
    pub skip: Option<Slot>,
    pub y: Slot,
}

impl Slots {
    /// Bindings by name. Without a bias or a skip those bindings still need a buffer, which the kernel does not read.
    fn bindings(&self) -> [(&'static str, Slot); 5] {
        let skip = self.skip.filter(|&skip| skip != self.y).unwrap_or(self.w);
        [("x", self.x), ("w", self.w), ("bias", self.bias.unwrap_or(self.w)), ("skip", skip), ("y", self.y)]
    }

    /// The constants of `lib/epilogue.wgsl`.
    fn constants(&self, params: &Params) -> [(&'static str, f64); 2] {
        let addend = self.skip.map_or(0.0, |skip| if skip == self.y { 2.0 } else { 1.0 });
        let bounded = params.low.is_finite() || params.high.is_finite();
        [("ADD", addend), ("BOUNDED", f64::from(u8::from(bounded)))]
    }
}

/// Appends a dense convolution.
pub(super) fn dense(l: &mut Launch<'_>, params: Params, slots: &Slots) {
    let (shader, groups) = tiles(l.caps, &params);
    l.dispatch(shader, "conv2d", &params, &slots.bindings(), groups);
    l.constants(&slots.constants(&params));
}

/// Appends a depthwise convolution; `params.reversed` = 1 reverses the taps.
pub(super) fn depthwise(l: &mut Launch<'_>, params: Params, slots: &Slots) {
    let window = is_3x3(&params) && params.stride == 1 && params.fraction == 1;
    let entry = if window { "depthwise_3x3" } else { "depthwise" };
    let count = (params.num_lines * params.out_w.div_ceil(4) * params.quads_in) as usize;
    l.dispatch("conv2d.depthwise", entry, &params, &slots.bindings(), grid(count, 64));
    let [addend, bounded] = slots.constants(&params);
    l.constants(&[addend, bounded, ("BIASED", f64::from(params.has_bias))]);
}

/// Appends entry `entry` of the grouped kernels, one output element per invocation.
pub(super) fn grouped(
    l: &mut Launch<'_>,
    entry: &'static str,
    params: Params,
    slots: &Slots,
    [inputs, outputs, groups]: [(&'static str, f64); 3],
) {
    let count = params.num_pixels as usize * params.quads_out as usize * 4;
    // The gradient with respect to x has no bias to read.
    let bindings = slots.bindings().into_iter().filter(|(name, _)| entry == "conv2d" || *name != "bias");
    l.dispatch("conv2d.grouped", entry, &params, &bindings.collect::<Vec<_>>(), grid(count, 64));
    let [addend, bounded] = slots.constants(&params);
    l.constants(&[inputs, outputs, groups, addend, bounded]);
}

/// A 3x3 kernel without dilation.
pub(super) const fn is_3x3(params: &Params) -> bool {
    params.kernel_h == 3 && params.kernel_w == 3 && params.dilation == 1
}

/// `override` constants of the grouped kernels.
pub(super) fn group_constants(conv: Conv, x: &Value, w: &Value) -> [(&'static str, f64); 3] {
    let groups = conv.groups;
    [
        ("GROUP_IN", (x.shape[3] / groups) as f64),
        ("GROUP_OUT", (w.shape[3] / groups) as f64),
        ("GROUPS", groups as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{DType, Role};

    #[test]
    fn splits_are_bounded_in_pixels_and_bytes() {
        let value = |shape: &[usize]| Value {
            name: String::new(),
            shape: shape.to_vec(),
            dtype: DType::F32,
            role: Role::Input,
        };
        // The last ones are more pixels than splits within 64 MiB could hold.
        for (x, channels) in
            [([1, 1, 1, 8], 8), ([2, 97, 101, 64], 64), ([8, 128, 128, 512], 512), ([64, 100, 150, 512], 512)]
        {
            let (x, w) = (value(&x), value(&[3, 3, channels, channels]));
            let floats = w.len();
            let mut params = Params::forward(Conv { padding: 1, ..Conv::default() }, &x, &w, &x);
            params.split(1024, floats);
            let (pixels, splits) = (x.rows(), params.num_splits as usize);
            assert!((params.split_rows * params.split_columns) as usize <= MAX_SPLIT_PIXELS);
            let fair = (MAX_PARTIAL_BYTES / (4 * floats)).max(pixels.div_ceil(MAX_SPLIT_PIXELS)).max(1);
            assert!(splits <= 2 * fair + 1, "{splits} splits of {pixels} pixels, {fair} are fair");
        }
    }
}
