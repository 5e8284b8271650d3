//! UPerNet (Xiao et al., ECCV 2018, as mmsegmentation's `UPerHead`): pyramid pooling of the deepest map, a feature pyramid
//! from there down to the finest, and one convolution of all its levels.

use crate::error::Result;
use crate::ops::{self, Corners};
use crate::tape::ValueId;

use super::super::backbone::Tap;
use super::super::layers::Builder;
use super::{NeckOptions, around, conv_module, modules, point, pooled, size};

/// Bins along each axis of the pyramid pooling.
const BINS: [usize; 4] = [1, 2, 3, 6];

/// Records `head.psp_modules.N.1`, `head.bottleneck`, `head.lateral_convs.N`, `head.fpn_convs.N`, each of `lateral` channels,
/// and `head.fpn_bottleneck`. Everything is enlarged with half pixels.
///
/// # Errors
/// Those of the shape rules.
pub(super) fn record(b: &mut Builder<'_>, taps: &[Tap], options: &NeckOptions) -> Result<ValueId> {
    let (inside, last) = (options.lateral, taps.len() - 1);
    let mut levels = Vec::new();
    for (index, tap) in taps[..last].iter().enumerate() {
        levels.push(conv_module(b, &format!("head.lateral_convs.{index}"), tap.map, point(inside))?);
    }
    let deepest = taps[last].map;
    let mut parts = vec![deepest];
    for (index, bins) in BINS.into_iter().enumerate() {
        parts.push(pooled(b, &format!("head.psp_modules.{index}.1"), deepest, bins, inside)?);
    }
    let parts = ops::concat(b.tape, &parts)?;
    levels.push(conv_module(b, "head.bottleneck", parts, around(inside, 1))?);
    for i in (0..last).rev() {
        let to = size(b, levels[i]);
        let above = ops::resize(b.tape, levels[i + 1], to, Corners::Half)?;
        levels[i] = ops::add(b.tape, levels[i], above, 1.0)?;
    }
    for (index, level) in levels[..last].iter_mut().enumerate() {
        *level = conv_module(b, &format!("head.fpn_convs.{index}"), *level, around(inside, 1))?;
    }
    modules(b, "head.fpn_bottleneck", &levels, around(options.width, 1))
}
