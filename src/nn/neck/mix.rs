//! Lateral 1x1 convolutions, upsampling to the finest map, concatenation, and a depthwise-separable 3x3 mix: ours, cheap enough
//! for software adapters.

use crate::error::Result;
use crate::ops::Conv;
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::{Builder, ConvBn};
use super::{NeckOptions, around, point, stack};

/// Records `head.lateral.N`, `head.mix.0` and `head.mix.1`.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let mut lateral = Vec::new();
    for (index, tap) in taps.iter().enumerate() {
        let map = b.conv_bn(&format!("head.lateral.{index}"), tap.map, point(options.lateral))?;
        lateral.push(Tap { map, ..*tap });
    }
    let x = stack(b, &lateral)?;
    let channels = b.tape.value(x).channels();
    let plain = around(channels, 1);
    let depthwise = ConvBn { conv: Conv { groups: channels, ..plain.conv }, ..plain };
    let x = b.conv_bn("head.mix.0", x, depthwise)?;
    b.conv_bn("head.mix.1", x, point(options.width))
}
