//! The fully convolutional head (Long et al. 2015, as mmsegmentation's `FCNHead`), on the deepest map and at its resolution.

use crate::error::Result;
use crate::ops;
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::Builder;
use super::{NeckOptions, around, conv_module};

/// Records two 3x3 convolutions, `head.convs.0` and `head.convs.1`, and one of the input and what they make of it,
/// `head.conv_cat`.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let deepest = taps[taps.len() - 1].map;
    let layer = around(options.width, 1);
    let x = conv_module(b, "head.convs.0", deepest, layer)?;
    let x = conv_module(b, "head.convs.1", x, layer)?;
    let both = ops::concat(b.tape, &[deepest, x])?;
    conv_module(b, "head.conv_cat", both, layer)
}
