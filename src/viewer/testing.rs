//! What the viewer's unit tests share.

use crate::data::{Classes, Normalisation};
use crate::head::HeadOptions;
use crate::model::{ModelSpec, NetOptions, Provenance};
use crate::proto::Profile;

/// A description with these classes.
pub fn spec(classes: &str) -> ModelSpec {
    ModelSpec {
        net: NetOptions::default(),
        head: HeadOptions::profile(Profile::Rec),
        classes: Classes::parse(classes).expect("valid classes"),
        normalisation: Normalisation::default(),
        provenance: Provenance { crop: [32, 48], ..Provenance::default() },
    }
}
