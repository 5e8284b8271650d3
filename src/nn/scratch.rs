//! A small residual network for training from scratch: the demo and the tests.

use crate::error::Result;
use crate::ops::{Act, Conv};
use crate::tape::ValueId;

use super::backbone::{Tap, stride_or_dilate};
use super::layers::{Builder, ConvBn};

/// Channels of the stages at stride 2, 4, 8, 16.
const CHANNELS: [usize; 4] = [16, 32, 64, 96];

/// Records the network on `image` `[B,H,W,3]`: a strided 3x3 convolution and one residual block per stage.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, output_stride: usize) -> Result<Vec<Tap>> {
    let (mut x, mut stride, mut dilation) = (image, 1, 1);
    let mut taps = Vec::new();
    for (stage, channels) in CHANNELS.into_iter().enumerate() {
        b.tape.mark();
        let step = stride_or_dilate(2, output_stride, &mut stride, &mut dilation);
        let name = format!("backbone.{stage}");
        let conv = |stride| Conv { stride, padding: dilation, dilation, groups: 1 };
        let down = ConvBn { outputs: channels, kernel: 3, conv: conv(step), act: Act::Relu };
        x = b.conv_bn(&format!("{name}.down"), x, down)?;
        if stage > 0 {
            x = residual(b, &name, x, conv(1))?;
        }
        let tap = Tap { stride, map: x };
        b.note_middle(tap, dilation);
        taps.push(tap);
    }
    b.tape.mark();
    // A dilated stage has the stride of the one before it; the later map replaces the earlier.
    taps.dedup_by(|later, earlier| {
        let same = later.stride == earlier.stride;
        if same {
            earlier.map = later.map;
        }
        same
    });
    Ok(taps)
}

/// `relu(x + BN(depthwise-separable(x)))`, cheap enough for software adapters.
fn residual(b: &mut Builder<'_>, name: &str, x: ValueId, conv: Conv) -> Result<ValueId> {
    let channels = b.tape.value(x).channels();
    let conv = Conv { groups: channels, ..conv };
    let depthwise = ConvBn { outputs: channels, kernel: 3, conv, act: Act::Relu };
    let y = b.conv_bn(&format!("{name}.depthwise"), x, depthwise)?;
    let point = ConvBn { outputs: channels, kernel: 1, conv: Conv::default(), act: Act::Relu };
    b.conv_bn_skip([&format!("{name}.point.0"), &format!("{name}.point.1")], y, point, Some(x))
}
