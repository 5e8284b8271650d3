//! The auxiliary head (`train.aux_weight`): a second classifier on a map from the middle of the backbone, whose loss reaches the
//! early layers by a shorter way (Zhao et al. 2017, section 3.3). It is there for training alone: checkpoints hold it,
//! models do not.

use crate::error::{Error, Result};
use crate::nn::{Builder, ConvBn, Tap, Weights};
use crate::ops::{self, Act, Conv, EmptyLoss};
use crate::tape::ValueId;

/// Names of the auxiliary head's weights start with this.
const PREFIX: &str = "aux.";
/// Image pixels per pixel of the map that it looks at.
pub const AUX_STRIDE: usize = 16;
/// Channels between its two convolutions.
const WIDTH: usize = 64;

impl Weights {
    /// Those that make a model: all but the auxiliary head's.
    #[must_use]
    pub fn of_model(mut self) -> Self {
        self.0.retain(|entry| !entry.name.starts_with(PREFIX));
        self
    }
}

/// Records the head on the tap of stride 16 among `taps`, a 3x3 convolution with batch norm and a linear classifier, and the
/// cross-entropy of its upsampled logits against `[labels, class_weights]`. The logits are held as `N x C`, one of
/// 16 x 16 image pixels each.
///
/// # Errors
/// [`Error::Config`] if the backbone has no such tap; those of the shape rules.
pub(super) fn record_auxiliary(
    b: &mut Builder<'_>,
    taps: &[Tap],
    [labels, class_weights]: [ValueId; 2],
    empty: EmptyLoss,
) -> Result<ValueId> {
    let Some(tap) = taps.iter().find(|tap| tap.stride == AUX_STRIDE) else {
        return Err(Error::config(
            "train.aux_weight needs a map of stride 16 and the backbone has none",
            "set model.output_stride to 16 or more (a ResNet or an HRNet needs a tap of 16 or more too), or train.aux_weight to 0",
        ));
    };
    b.tape.enter("auxiliary");
    let around = Conv { padding: 1, ..Conv::default() };
    let layer = ConvBn { outputs: WIDTH, kernel: 3, conv: around, act: Act::Relu };
    let hidden = b.conv_bn(&format!("{PREFIX}0"), tap.map, layer)?;
    let num_classes = b.tape.value(class_weights).len();
    let logits = b.pointwise(&format!("{PREFIX}2"), hidden, num_classes, Act::None)?;
    let shape = b.tape.value(logits).shape.clone();
    let rows = b.tape.reshape(logits, &[shape[..3].iter().product(), num_classes])?;
    let loss = ops::cross_entropy(b.tape, [rows, labels, class_weights], [shape[1], shape[2]], empty)?;
    b.tape.leave();
    Ok(loss)
}
