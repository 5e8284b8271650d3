//! Geometry of a convolution and the choice of its kernel.

use crate::gpu::{Caps, Slot, grid, uniform};
use crate::ops::walk::touch;
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

/// Rows of a strip on a GPU, which wants many invocations, and on a software adapter, where the loads of a strip's first
/// two rows are what they cost.
const STRIP_ROWS: [u32; 2] = [8, 16];

impl Params {
    /// Strips of 4 columns for `conv2d.depthwise_3x3`, out of `rows` rows to an image.
    pub(super) fn strips(self, caps: &Caps, rows: u32) -> Self {
        let most = STRIP_ROWS[usize::from(caps.software)];
        // Strips of equal length: 65 rows are 33 and 32.
        let split_rows = rows.div_ceil(rows.div_ceil(most));
        let images = self.num_lines / self.out_h;
        let num_splits = images * self.out_w.div_ceil(4) * rows.div_ceil(split_rows);
        Self { split_rows, num_splits, ..self }
    }
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
    pub(super) fn bindings(&self) -> [(&'static str, Slot); 5] {
        let skip = self.skip.filter(|&skip| skip != self.y).unwrap_or(self.w);
        [("x", self.x), ("w", self.w), ("bias", self.bias.unwrap_or(self.w)), ("skip", skip), ("y", self.y)]
    }

    /// The constants of `lib/epilogue.wgsl`.
    pub(super) fn constants(&self, params: &Params) -> [(&'static str, f64); 2] {
        let addend = self.skip.map_or(0.0, |skip| if skip == self.y { 2.0 } else { 1.0 });
        let bounded = params.low.is_finite() || params.high.is_finite();
        [("ADD", addend), ("BOUNDED", f64::from(u8::from(bounded)))]
    }
}

/// Appends a depthwise convolution; `params.reversed` = 1 reverses the taps.
pub(super) fn depthwise(l: &mut Launch<'_>, params: Params, slots: &Slots) {
    let strips = (params.num_lines * params.out_w.div_ceil(4) * params.quads_in) as usize;
    // Padding 1 of the forward pass is padding 1 of its gradient.
    let twice = params.reversed == 1 && (params.fraction, params.pad_h, params.pad_w) == (2, 1, 1);
    let (entry, rows) = match (params.stride, params.fraction) {
        _ if !is_3x3(&params) => ("depthwise", 1),
        (1, 1) => ("depthwise_3x3", params.out_h),
        (2, 1) => ("depthwise_3x3_half", params.out_h),
        (1, 2) if twice => ("depthwise_3x3_twice", params.out_h.div_ceil(2)),
        _ => ("depthwise", 1),
    };
    if entry == "depthwise" {
        l.dispatch("conv2d.depthwise", entry, &params, &slots.bindings(), grid(strips, 64));
        let [addend, bounded] = slots.constants(&params);
        l.constants(&[addend, bounded, ("BIASED", f64::from(params.has_bias))]);
    } else {
        // The gradient names the taps by the forward pass there.
        let params = Params { reversed: u32::from(params.reversed == 1 && !twice), ..params };
        let params = params.strips(l.caps, rows);
        let count = params.num_splits as usize * params.quads_in as usize;
        let bindings = slots.bindings();
        // The gradient with stride 2 has no bias to read.
        let bindings = bindings.iter().filter(|b| entry != "depthwise_3x3_twice" || b.0 != "bias");
        let bindings: Vec<_> = bindings.copied().collect();
        l.dispatch("conv2d.depthwise_3x3", entry, &params, &bindings, grid(count, 64));
        let [addend, bounded] = slots.constants(&params);
        l.constants(&[addend, bounded, touch(l.caps)]);
    }
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
