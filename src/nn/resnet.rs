//! Residual networks (He et al., CVPR 2016) of 18, 34, 50 and 101 layers, with torchvision's names and structure: in the
//! bottleneck the 3x3 convolution strides.

use crate::error::Result;
use crate::ops::{self, Act, Conv, Pool};
use crate::tape::ValueId;

use super::backbone::{Extent, Tap, stride_or_dilate};
use super::layers::{Builder, ConvBn};

/// Channels inside the blocks of the four layers.
const CHANNELS: [usize; 4] = [64, 128, 256, 512];

/// Which of the networks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    /// Blocks of the four layers.
    blocks: [usize; 4],
    /// Output channels of a block per channel inside: 1 for two 3x3 convolutions, 4 for the bottleneck.
    expansion: usize,
}

impl Depth {
    pub(super) const D18: Self = Self { blocks: [2, 2, 2, 2], expansion: 1 };
    pub(super) const D34: Self = Self { blocks: [3, 4, 6, 3], expansion: 1 };
    pub(super) const D50: Self = Self { blocks: [3, 4, 6, 3], expansion: 4 };
    pub(super) const D101: Self = Self { blocks: [3, 4, 23, 3], expansion: 4 };
}

/// Records the network on `image` `[B,H,W,3]`. Returns the last map of every stride. Where the stride would exceed
/// `extent.output_stride` a layer is dilated instead; layers of a larger stride than `extent.deepest` are left out, weights
/// and all.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, image: ValueId, depth: Depth, extent: Extent) -> Result<Vec<Tap>> {
    // Blocks are what the reverse pass may compute again; the stem holds the widest map of all.
    b.tape.mark();
    let stem = Conv { stride: 2, padding: 3, ..Conv::default() };
    let stem = ConvBn { outputs: 64, kernel: 7, conv: stem, act: Act::Relu };
    let x = b.conv_bn_skip(["conv1", "bn1"], image, stem, None)?;
    let mut x = ops::max_pool2d(b.tape, x, Pool { kernel: 3, stride: 2, padding: 1 })?;
    let (mut stride, mut dilation) = (4, 1);
    let mut taps: Vec<Tap> = Vec::new();
    for (layer, (channels, blocks)) in std::iter::zip(CHANNELS, depth.blocks).enumerate() {
        let wanted = if layer == 0 { 1 } else { 2 };
        let before = dilation;
        let step = stride_or_dilate(wanted, extent.output_stride, &mut stride, &mut dilation);
        if stride > extent.deepest {
            break;
        }
        for block in 0..blocks {
            b.tape.mark();
            let name = format!("layer{}.{block}", layer + 1);
            let shape = if block == 0 {
                Block { channels, stride: step, dilations: [before, dilation] }
            } else {
                Block { channels, stride: 1, dilations: [dilation; 2] }
            };
            x = if depth.expansion == 1 { b.basic(&name, x, shape)? } else { b.bottleneck(&name, x, shape)? };
        }
        b.note_middle(Tap { stride, map: x }, dilation);
        match taps.last_mut() {
            // A dilated layer has the stride of the one before it; its map replaces that one's.
            Some(tap) if tap.stride == stride => tap.map = x,
            _ => taps.push(Tap { stride, map: x }),
        }
    }
    b.tape.mark();
    Ok(taps)
}

/// Records the classifier of the full network on the last tap: mean over the image, `fc`; returns `[B, 1000]` logits. Only
/// parity checks need it.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn classifier(b: &mut Builder<'_>, last: ValueId) -> Result<ValueId> {
    let pooled = ops::global_mean(b.tape, last)?;
    b.linear("fc", pooled, 1000)
}

/// Geometry of a residual block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Channels inside.
    channels: usize,
    /// Stride of its striding convolution and of the downsampled skip connection.
    stride: usize,
    /// Dilation of what strides, or would without dilation, and of the 3x3 convolution behind it. In the first block of a dilated
    /// layer they differ: the former looks at the map before, whose pixels lie as far apart as those of that layer. So a
    /// dilated network gives the strided one's map at every second pixel, and what lies between.
    dilations: [usize; 2],
}

impl Block {
    /// Neither strided nor dilated.
    pub(super) const fn plain(channels: usize) -> Self {
        Self { channels, stride: 1, dilations: [1; 2] }
    }

    /// The first 3x3 convolution.
    fn first(self) -> ConvBn {
        let conv =
            Conv { stride: self.stride, padding: self.dilations[0], dilation: self.dilations[0], groups: 1 };
        ConvBn { outputs: self.channels, kernel: 3, conv, act: Act::Relu }
    }
}

impl Builder<'_> {
    /// `relu(BN(3x3(relu(BN(3x3(x))))) + skip)`.
    pub(super) fn basic(&mut self, name: &str, x: ValueId, block: Block) -> Result<ValueId> {
        let skip = self.shortcut(name, x, block.channels, block.stride)?;
        let names = |i: usize| [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
        let y = self.conv_norm(&names(1), x, block.first(), None)?;
        let [_, dilation] = block.dilations;
        let conv = Conv { padding: dilation, dilation, ..Conv::default() };
        self.conv_norm(&names(2), y, ConvBn { conv, ..block.first() }, Some(skip))
    }

    /// `relu(BN(1x1(relu(BN(3x3(relu(BN(1x1(x))))))) + skip)`, four times as wide at the end.
    pub(super) fn bottleneck(&mut self, name: &str, x: ValueId, block: Block) -> Result<ValueId> {
        let outputs = 4 * block.channels;
        let skip = self.shortcut(name, x, outputs, block.stride)?;
        let names = |i: usize| [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
        let point = |outputs| ConvBn { outputs, kernel: 1, conv: Conv::default(), act: Act::Relu };
        let y = self.conv_norm(&names(1), x, point(block.channels), None)?;
        let y = self.conv_norm(&names(2), y, block.first(), None)?;
        self.conv_norm(&names(3), y, point(outputs), Some(skip))
    }

    /// The input itself, or a strided 1x1 convolution of it where the shapes differ.
    fn shortcut(&mut self, name: &str, x: ValueId, outputs: usize, stride: usize) -> Result<ValueId> {
        if stride == 1 && self.tape.value(x).channels() == outputs {
            return Ok(x);
        }
        let conv = Conv { stride, ..Conv::default() };
        self.conv_bn(&format!("{name}.downsample"), x, ConvBn { outputs, kernel: 1, conv, act: Act::None })
    }

    fn conv_norm(
        &mut self,
        [conv, norm]: &[String; 2],
        x: ValueId,
        layer: ConvBn,
        skip: Option<ValueId>,
    ) -> Result<ValueId> {
        self.conv_bn_skip([conv, norm], x, layer, skip)
    }
}
