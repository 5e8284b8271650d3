//! The table of kernels, composed from `shaders/` at build time.

use super::record::Scalar;
use super::reflect::{Access, Binding, Reflection};
use super::variant::Variant;

/// One shader file, includes resolved.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// File name without `.wgsl`: the stem shared with `ops` and `oracle`.
    pub stem: &'static str,
    /// Folder below `shaders/`.
    pub family: &'static str,
    /// Plain WGSL; in a browser without comments.
    pub source: &'static str,
    /// What its entry points declare.
    pub entries: &'static [Reflection],
}

impl Shader {
    /// The family of kernels that it belongs to: the last part of its stem, or the floor.
    #[must_use]
    pub fn variant(&self) -> Variant {
        let last = self.stem.rsplit('.').next().unwrap_or_default();
        Variant::named(last).unwrap_or(Variant::Floor)
    }
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Every shader, ordered by path.
#[must_use]
pub fn all() -> &'static [Shader] {
    TABLE
}

/// The shader with this stem.
///
/// # Panics
/// If there is none: stems are written in our own code only.
#[must_use]
pub fn get(stem: &str) -> &'static Shader {
    TABLE.iter().find(|s| s.stem == stem).unwrap_or_else(|| panic!("no shader `{stem}`"))
}
