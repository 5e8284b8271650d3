//! SegFormer's decoder (Xie et al., NeurIPS 2021): a linear embedding of every map, and one 1x1 convolution of all of them.

use crate::error::Result;
use crate::ops::{self, Corners};
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::Builder;
use super::{NeckOptions, conv_module, point, size};

/// Records `head.linear_cN.proj` (`[lateral, C]` on disk), numbered from 1 for the finest map, and `head.linear_fuse` of the
/// concatenation, the deepest map first. Maps are enlarged with half pixels.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let finest = size(b, taps[0].map);
    let mut maps = Vec::new();
    for (index, tap) in taps.iter().enumerate().rev() {
        let name = format!("head.linear_c{}.proj", index + 1);
        let map = b.linear_of_map(&name, tap.map, options.lateral)?;
        maps.push(ops::resize(b.tape, map, finest, Corners::Half)?);
    }
    let all = if maps.len() == 1 { maps[0] } else { ops::concat(b.tape, &maps)? };
    conv_module(b, "head.linear_fuse", all, point(options.width))
}
