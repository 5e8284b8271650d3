//! MobileNetV2 (Sandler et al., CVPR 2018), width 1.0, with torchvision's names.

use crate::error::Result;
use crate::ops::{self, Act, Conv};
use crate::tape::ValueId;

use super::backbone::{Tap, stride_or_dilate};
use super::layers::{Builder, ConvBn};

/// Expansion, channels, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// Records the network on `image` `[B,H,W,3]`. Returns the last map of every stride (`features` 1, 3, 6, 13, 17). Where the
/// stride would exceed `output_stride`, the rest of the network is dilated instead.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, output_stride: usize) -> Result<Vec<Tap>> {
    // Blocks are what the reverse pass may compute again: the widest maps are inside them.
    b.tape.mark();
    let stem = Conv { stride: 2, padding: 1, ..Conv::default() };
    let stem = ConvBn { outputs: 32, kernel: 3, conv: stem, act: Act::Relu6 };
    let mut x = b.conv_bn("features.0", image, stem)?;
    let (mut stride, mut dilation, mut index) = (2, 1, 1);
    let mut taps: Vec<Tap> = Vec::new();
    for (expansion, channels, blocks, first_stride) in STAGES {
        for block in 0..blocks {
            let wanted = if block == 0 { first_stride } else { 1 };
            let before = dilation;
            let step = stride_or_dilate(wanted, output_stride, &mut stride, &mut dilation);
            b.tape.mark();
            // The block that would have strided still looks at neighbours at the old distance.
            let reach = if step < wanted { before } else { dilation };
            x = b.inverted_residual(index, x, expansion, channels, step, reach)?;
            b.note_middle(Tap { stride, map: x }, dilation);
            match taps.last_mut() {
                Some(tap) if tap.stride == stride => tap.map = x,
                _ => taps.push(Tap { stride, map: x }),
            }
            index += 1;
        }
    }
    b.tape.mark();
    Ok(taps)
}

/// Records the classifier of the full network on the last tap: `features.18`, mean over the image, `classifier.1`;
/// returns `[B, 1000]` logits. Only parity checks need it.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn classifier(b: &mut Builder<'_>, last: ValueId) -> Result<ValueId> {
    let top = ConvBn { outputs: 1280, kernel: 1, conv: Conv::default(), act: Act::Relu6 };
    let x = b.conv_bn("features.18", last, top)?;
    let pooled = ops::global_mean(b.tape, x)?;
    b.linear("classifier.1", pooled, 1000)
}

impl Builder<'_> {
    /// An inverted residual: expand 1x1, depthwise 3x3, project 1x1, plus the input where shapes allow.
    fn inverted_residual(
        &mut self,
        index: usize,
        x: ValueId,
        expansion: usize,
        channels: usize,
        stride: usize,
        dilation: usize,
    ) -> Result<ValueId> {
        let name = format!("features.{index}.conv");
        let inputs = self.tape.value(x).channels();
        let width = inputs * expansion;
        let mut y = x;
        let mut part = 0;
        if expansion > 1 {
            let expand = ConvBn { outputs: width, kernel: 1, conv: Conv::default(), act: Act::Relu6 };
            y = self.conv_bn(&format!("{name}.0"), y, expand)?;
            part = 1;
        }
        let conv = Conv { stride, padding: dilation, dilation, groups: width };
        let depthwise = ConvBn { outputs: width, kernel: 3, conv, act: Act::Relu6 };
        y = self.conv_bn(&format!("{name}.{part}"), y, depthwise)?;
        let names = [format!("{name}.{}", part + 1), format!("{name}.{}", part + 2)];
        let project = ConvBn { outputs: channels, kernel: 1, conv: Conv::default(), act: Act::None };
        let skip = (stride == 1 && inputs == channels).then_some(x);
        self.conv_bn_skip([&names[0], &names[1]], y, project, skip)
    }
}
