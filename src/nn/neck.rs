//! From the backbone's maps to one map of features: lateral 1x1 convolutions, upsampling to the finest map,
//! concatenation, and a depthwise-separable 3x3 mix (spec section 3, step 1, made cheap).

use crate::error::Result;
use crate::ops::{self, Act, Conv, Corners};
use crate::tape::ValueId;

use super::backbone::Tap;
use super::layers::{Builder, ConvBn, Mode};

/// Width and regularisation of the neck.
#[derive(Clone, Copy, Debug)]
pub struct NeckOptions {
    /// Channels of each lateral map.
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
    let finest = b.tape.value(taps[0].map).shape.clone();
    let point = |outputs| ConvBn { outputs, kernel: 1, conv: Conv::default(), act: Act::Relu };
    let mut maps = Vec::new();
    for (index, tap) in taps.iter().enumerate() {
        let name = format!("head.lateral.{index}");
        let map = b.conv_bn(&name, tap.map, point(options.lateral))?;
        let size = &b.tape.value(map).shape;
        let same = size[1..3] == finest[1..3];
        maps.push(if same { map } else { ops::resize(b.tape, map, [finest[1], finest[2]], Corners::Align)? });
    }
    let x = if maps.len() == 1 { maps[0] } else { ops::concat(b.tape, &maps)? };
    let channels = b.tape.value(x).channels();
    let around = Conv { padding: 1, groups: channels, ..Conv::default() };
    let x =
        b.conv_bn("head.mix.0", x, ConvBn { outputs: channels, kernel: 3, conv: around, act: Act::Relu })?;
    let x = b.conv_bn("head.mix.1", x, point(options.width))?;
    if b.mode == Mode::Train && options.dropout > 0.0 {
        return ops::dropout(b.tape, x, step, options.dropout, ops::DropMode::Channel, options.seed);
    }
    Ok(x)
}
