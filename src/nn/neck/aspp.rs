//! DeepLabV3+ (Chen et al., ECCV 2018): the deepest map seen at several distances at once, refined with the finest one.

use crate::error::Result;
use crate::ops::{self, Conv, Corners};
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::{Builder, ConvBn};
use super::{NeckOptions, around, conv_module, point, pooled, size};

/// Distance of the taps of the first dilated convolution in image pixels: a dilation of 6 at stride 16, 12 at stride 8. The
/// others look twice and three times as far.
const REACH: usize = 96;
/// Channels of the finest map.
const LOW_LEVEL: usize = 48;

/// Records, of the deepest map, its mean `head.image_pool.1`, a 1x1 convolution `head.aspp_modules.0`, three dilated ones
/// `head.aspp_modules.1` to `3`, and their projection `head.bottleneck` (1x1), each of `lateral` channels; of the finest map
/// `head.c1_bottleneck`; of both, two depthwise-separable 3x3 convolutions `head.sep_bottleneck.N`. Maps are enlarged with
/// half pixels.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let (inside, finest, deepest) = (options.lateral, taps[0].map, taps[taps.len() - 1]);
    let mut parts = vec![pooled(b, "head.image_pool.1", deepest.map, 1, inside)?];
    parts.push(conv_module(b, "head.aspp_modules.0", deepest.map, point(inside))?);
    for number in 1..=3 {
        let dilation = number * (REACH / deepest.stride).max(1);
        let name = format!("head.aspp_modules.{number}");
        parts.push(conv_module(b, &name, deepest.map, around(inside, dilation))?);
    }
    let all = ops::concat(b.tape, &parts)?;
    let context = conv_module(b, "head.bottleneck", all, point(inside))?;
    let to = size(b, finest);
    let context = ops::resize(b.tape, context, to, Corners::Half)?;
    let detail = conv_module(b, "head.c1_bottleneck", finest, point(LOW_LEVEL))?;
    let mut x = ops::concat(b.tape, &[context, detail])?;
    for number in 0..2 {
        x = separable(b, &format!("head.sep_bottleneck.{number}"), x, options.width)?;
    }
    Ok(x)
}

/// A depthwise 3x3 and a 1x1 convolution, each with norm and ReLU, named as mmcv's `DepthwiseSeparableConvModule`.
fn separable(b: &mut Builder<'_>, name: &str, x: ValueId, outputs: usize) -> Result<ValueId> {
    let channels = b.tape.value(x).channels();
    let plain = around(channels, 1);
    let depthwise = ConvBn { conv: Conv { groups: channels, ..plain.conv }, ..plain };
    let x = conv_module(b, &format!("{name}.depthwise_conv"), x, depthwise)?;
    conv_module(b, &format!("{name}.pointwise_conv"), x, point(outputs))
}
