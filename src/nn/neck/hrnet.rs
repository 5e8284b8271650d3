//! The paper's (spec section 3, step 1): the maps of HRNet, upsampled to the finest and side by side, and one 3x3 convolution.

use crate::error::Result;
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::Builder;
use super::{NeckOptions, around, stack};

/// Records `head.cls_head.0`, a convolution with bias, and its norm `head.cls_head.1.0`, the names of the paper's code. That has
/// 720 channels before and behind: `width = 720` for HRNetV2-W48. Maps are enlarged with aligned corners.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let x = stack(b, taps)?;
    b.conv_bias_bn(["head.cls_head.0", "head.cls_head.1.0"], x, around(options.width, 1))
}
