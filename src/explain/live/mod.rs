//! What a viewer shows of analysed images: coloured, composed and asked about on the device, so that nothing waits for a
//! read-back and a change of colours is a few small dispatches.
//!
//! [`Maps`](crate::infer::Maps) of an image become a [`Layer`] of colours by a [`Shading`] and the palette of a [`Legend`];
//! a [`Screen`] lays one or two layers over the photograph in a [`View`]; a [`Picker`] answers what is at a pixel; a [`Still`]
//! keeps what is seen for a file.

mod basis;
mod count;
mod layer;
mod legend;
mod patches;
mod picker;
mod ramp;
mod screen;
mod still;

pub use basis::Basis;
pub use count::{Counts, Overlap};
pub use layer::{Layer, Mode, Shading};
pub use legend::{ClassColors, Legend, PrototypeColors};
pub use patches::{Patch, nearest_patches};
pub use picker::{Picker, Pixel};
pub use ramp::ramp;
pub use screen::{Photo, Screen, Split, View};
pub use still::{Still, read_screen};

/// A packed colour: r, g, b, a from the low byte up, as the device's kernels hold it.
#[must_use]
pub const fn pack_color([r, g, b]: [u8; 3], alpha: u8) -> u32 {
    u32::from_le_bytes([r, g, b, alpha])
}
