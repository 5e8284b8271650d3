//! Why a pixel got its class, drawn: the retrieval figure (spec section 12) and the report of a training run.
//!
//! Everything here is plain CPU drawing on [`image::RgbImage`] and text. Whoever owns a model computes the numbers and
//! fills the input structs; nothing here knows a device.

mod canvas;
pub mod figure;
pub mod overlay;
pub mod palette;
pub mod report;

pub mod text;
