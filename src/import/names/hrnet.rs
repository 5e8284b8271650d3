//! HRNet: the authors, openseg, timm and mmsegmentation share the names of everything up to the last stage.

use super::Dialect;

/// The libraries' names.
pub fn dialects() -> Vec<Dialect> {
    vec![Dialect::same("the authors of HRNet, timm, mmsegmentation")]
}
