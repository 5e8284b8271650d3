//! Why a pixel got its class, drawn: the retrieval figure (spec section 12) and the report of a training run.
//!
//! All but [`live`] is plain CPU drawing on [`image::RgbImage`] and text: whoever owns a model computes the numbers and
//! fills the input structs. [`live`] draws on the device what a viewer shows.

mod canvas;
pub mod figure;
pub mod live;
pub mod overlay;
pub mod palette;
pub mod report;

pub mod text;
