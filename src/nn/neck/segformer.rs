//! SegFormer's decoder (Xie et al., NeurIPS 2021): a linear embedding of every map, and one 1x1 convolution of all of them.

use crate::error::Result;
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::Builder;
use super::{NeckOptions, modules, point};

/// Records `head.linear_cN.proj` (`[lateral, C]` on disk), numbered from 1 for the finest map, and `head.linear_fuse` of the
/// concatenation, the deepest map first, which is never made. Maps are enlarged with half pixels.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let mut maps = Vec::new();
    for (index, tap) in taps.iter().enumerate().rev() {
        let name = format!("head.linear_c{}.proj", index + 1);
        maps.push(b.linear_of_map(&name, tap.map, options.lateral)?);
    }
    modules(b, "head.linear_fuse", &maps, point(options.width))
}
