//! From the backbone's maps to one map of features (spec section 3, step 1): the decoders of segmentation networks, one
//! file each, without their classifiers, in whose place the heads stand.

mod aspp;
mod fcn;
mod hrnet;
mod mix;
mod segformer;
mod upernet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::{self, Act, Conv, Corners};
use crate::tape::ValueId;

use super::backbone::Tap;
use super::layers::{Builder, ConvBn, Mode};

/// What stands between backbone and head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Neck {
    /// Lateral convolutions of each map, concatenation, a depthwise-separable mix: cheap.
    #[default]
    Mix,
    /// One 1x1 convolution with bias, [`LINEAR`], of the backbone's maps, upsampled and concatenated.
    Linear,
    /// Two 3x3 convolutions of the deepest map and a third of both (mmsegmentation's `FCNHead`).
    Fcn,
    /// Pyramid pooling of the deepest map and a feature pyramid (UPerNet, Xiao et al. 2018).
    Upernet,
    /// A linear embedding of each map and one of their concatenation (SegFormer, Xie et al. 2021).
    Segformer,
    /// The maps side by side and one 3x3 convolution of them (HRNetV2 as in the paper's code).
    Hrnet,
    /// Atrous pyramid pooling of the deepest map beside the finest (DeepLabV3+, Chen et al. 2018).
    Aspp,
}

/// Name of the convolution of [`Neck::Linear`].
pub const LINEAR: &str = "head.linear";

impl Neck {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Mix, Self::Linear, Self::Fcn, Self::Upernet, Self::Segformer, Self::Hrnet, Self::Aspp];

    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mix => "mix",
            Self::Linear => "linear",
            Self::Fcn => "fcn",
            Self::Upernet => "upernet",
            Self::Segformer => "segformer",
            Self::Hrnet => "hrnet",
            Self::Aspp => "aspp",
        }
    }

    /// Whether it can be made of the maps of these strides.
    ///
    /// # Errors
    /// [`Error::Config`] for one map where two are needed.
    pub fn check(self, taps: &[usize]) -> Result<()> {
        if self == Self::Aspp && taps.len() < 2 {
            return Err(Error::config(
                format!(
                    "model.taps is {taps:?} and the neck \"aspp\" joins the deepest map with a finer one"
                ),
                "list a finer stride too, such as 4",
            ));
        }
        Ok(())
    }
}

/// Width and regularisation of the neck.
#[derive(Clone, Copy, Debug)]
pub struct NeckOptions {
    /// Its kind.
    pub kind: Neck,
    /// Channels inside: of each lateral map, embedding or branch.
    pub lateral: usize,
    /// Channels of the result.
    pub width: usize,
    /// Probability of dropping a channel of the result while training (spec: 0.1).
    pub dropout: f32,
    /// Seed of the dropout.
    pub seed: u32,
}

/// Records the neck on `taps`, finest first; `step` is the training step `[1]` u32 that dropout draws by. Returns
/// `[B,H,W,width]` at the finest tap's size, [`Neck::Fcn`] at the deepest's.
///
/// # Errors
/// [`Error::Config`] for what [`Neck::check`] refuses, and for a batch of one image where the mean of an image is normalised
/// over the batch; those of the shape rules.
pub fn neck(b: &mut Builder<'_>, taps: &[Tap], step: ValueId, options: &NeckOptions) -> Result<ValueId> {
    options.kind.check(&taps.iter().map(|tap| tap.stride).collect::<Vec<_>>())?;
    let x = match options.kind {
        Neck::Mix => mix::record(b, taps, options)?,
        Neck::Linear => {
            let x = stack(b, taps)?;
            b.pointwise(LINEAR, x, options.width, Act::None)?
        }
        Neck::Fcn => fcn::record(b, taps, options)?,
        Neck::Upernet => upernet::record(b, taps, options)?,
        Neck::Segformer => segformer::record(b, taps, options)?,
        Neck::Hrnet => hrnet::record(b, taps, options)?,
        Neck::Aspp => aspp::record(b, taps, options)?,
    };
    if b.mode == Mode::Train && options.dropout > 0.0 {
        return ops::dropout(b.tape, x, step, options.dropout, ops::DropMode::Channel, options.seed);
    }
    Ok(x)
}

/// Records the maps of `taps` at the size of the first, one behind the other along the channels: `[B,H,W,sum of C]`.
///
/// # Errors
/// Those of the shape rules.
pub fn stack(b: &mut Builder<'_>, taps: &[Tap]) -> Result<ValueId> {
    let size = size(b, taps[0].map);
    let resized = |tap: &Tap| ops::resize(b.tape, tap.map, size, Corners::Align);
    let maps = taps.iter().map(resized).collect::<Result<Vec<_>>>()?;
    if maps.len() == 1 { Ok(maps[0]) } else { ops::concat(b.tape, &maps) }
}

/// Height and width of a map.
fn size(b: &Builder<'_>, map: ValueId) -> [usize; 2] {
    let shape = &b.tape.value(map).shape;
    [shape[1], shape[2]]
}

/// A 1x1 convolution with batch norm and ReLU.
fn point(outputs: usize) -> ConvBn {
    ConvBn { outputs, kernel: 1, conv: Conv::default(), act: Act::Relu }
}

/// A 3x3 convolution with batch norm and ReLU that leaves the size as it is.
fn around(outputs: usize, dilation: usize) -> ConvBn {
    let conv = Conv { padding: dilation, dilation, ..Conv::default() };
    ConvBn { outputs, kernel: 3, conv, act: Act::Relu }
}

/// Records a convolution and its norm as `name.conv` and `name.bn`, the names of mmcv's `ConvModule`.
fn conv_module(b: &mut Builder<'_>, name: &str, x: ValueId, layer: ConvBn) -> Result<ValueId> {
    b.conv_bn_skip([&format!("{name}.conv"), &format!("{name}.bn")], x, layer, None)
}

/// [`conv_module`] of maps side by side, enlarged with half pixels to the largest.
fn modules(b: &mut Builder<'_>, name: &str, maps: &[ValueId], layer: ConvBn) -> Result<ValueId> {
    b.conv_bn_parts([&format!("{name}.conv"), &format!("{name}.bn")], maps, layer)
}

/// Records means of `x` over `bins` by `bins` parts of the image, a 1x1 convolution of them, and that at the size of `x`.
fn pooled(b: &mut Builder<'_>, name: &str, x: ValueId, bins: usize, outputs: usize) -> Result<ValueId> {
    let (size, batch) = (size(b, x), b.tape.value(x).shape[0]);
    // One value per channel has no spread: it would come out as the shift alone, and ruin the running variance.
    if bins == 1 && batch == 1 && b.mode != Mode::Eval {
        return Err(Error::config(
            "train.batch is 1 and this model.neck normalises the mean of an image over the batch",
            "set train.batch to 2 or more, or choose a neck other than \"upernet\" and \"aspp\"",
        ));
    }
    let x = ops::adaptive_avg_pool2d(b.tape, x, [bins; 2])?;
    let x = conv_module(b, name, x, point(outputs))?;
    ops::resize(b.tape, x, size, Corners::Half)
}
