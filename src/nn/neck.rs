//! From the backbone's maps to one map of features: lateral 1x1 convolutions, upsampling to the finest map,
//! concatenation, and a depthwise-separable 3x3 mix (spec section 3, step 1, made cheap). Or one linear map of the
//! concatenation, which can be worked out in closed form.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ops::{self, Act, Conv, Corners};
use crate::tape::ValueId;

use super::backbone::Tap;
use super::layers::{Builder, ConvBn, Mode};

/// What stands between backbone and head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Neck {
    /// Lateral convolutions of each map, concatenation, a depthwise-separable mix.
    #[default]
    Mix,
    /// One 1x1 convolution with bias, [`LINEAR`], of the backbone's maps, upsampled and concatenated.
    Linear,
}

/// Name of the convolution of [`Neck::Linear`].
pub const LINEAR: &str = "head.linear";

/// Width and regularisation of the neck.
#[derive(Clone, Copy, Debug)]
pub struct NeckOptions {
    /// Its kind.
    pub kind: Neck,
    /// Channels of each lateral map of [`Neck::Mix`].
    pub lateral: usize,
    /// Channels of the result.
    pub width: usize,
    /// Probability of dropping a channel of the result while training (spec: 0.1).
    pub dropout: f32,
    /// Seed of the dropout.
    pub seed: u32,
}

/// Records the neck on `taps`, finest first; `step` is the training step `[1]` u32 that dropout draws by. Returns
/// `[B,H,W,width]` at the finest tap's size.
///
/// # Errors
/// Those of the shape rules.
pub fn neck(b: &mut Builder<'_>, taps: &[Tap], step: ValueId, options: &NeckOptions) -> Result<ValueId> {
    let x = match options.kind {
        Neck::Mix => mix(b, taps, options)?,
        Neck::Linear => {
            let x = stack(b, taps)?;
            b.pointwise(LINEAR, x, options.width, Act::None)?
        }
    };
    if b.mode == Mode::Train && options.dropout > 0.0 {
        return ops::dropout(b.tape, x, step, options.dropout, ops::DropMode::Channel, options.seed);
    }
    Ok(x)
}

fn mix(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let point = |outputs| ConvBn { outputs, kernel: 1, conv: Conv::default(), act: Act::Relu };
    let mut lateral = Vec::new();
    for (index, tap) in taps.iter().enumerate() {
        let map = b.conv_bn(&format!("head.lateral.{index}"), tap.map, point(options.lateral))?;
        lateral.push(Tap { map, ..*tap });
    }
    let x = stack(b, &lateral)?;
    let channels = b.tape.value(x).channels();
    let around = Conv { padding: 1, groups: channels, ..Conv::default() };
    let x =
        b.conv_bn("head.mix.0", x, ConvBn { outputs: channels, kernel: 3, conv: around, act: Act::Relu })?;
    b.conv_bn("head.mix.1", x, point(options.width))
}

/// Records the maps of `taps` at the size of the first, one behind the other along the channels: `[B,H,W,sum of C]`.
///
/// # Errors
/// Those of the shape rules.
pub fn stack(b: &mut Builder<'_>, taps: &[Tap]) -> Result<ValueId> {
    let finest = b.tape.value(taps[0].map).shape.clone();
    let mut maps = Vec::new();
    for tap in taps {
        let same = b.tape.value(tap.map).shape[1..3] == finest[1..3];
        let size = [finest[1], finest[2]];
        maps.push(if same { tap.map } else { ops::resize(b.tape, tap.map, size, Corners::Align)? });
    }
    if maps.len() == 1 { Ok(maps[0]) } else { ops::concat(b.tape, &maps) }
}
