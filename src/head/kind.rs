//! The three kinds of heads that the paper compares (spec section 2), and which options each reads.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What makes class scores of pixel embeddings. Backbone, neck, projection, loss and schedule are the same for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// The nearest of K prototypes per class, which no gradient trains; unit embeddings.
    #[default]
    Prototype,
    /// One learned vector per class, inner product with embeddings as they are.
    Softmax,
    /// One learned query per class, which a decoder makes a vector of for every image; inner product as for `Softmax`.
    Query,
}

/// Options that every kind reads.
const SHARED: [&str; 3] = ["kind", "projection", "empty_loss"];
/// Options of [`HeadKind::Query`] alone; all others are those of [`HeadKind::Prototype`].
const QUERY: [&str; 2] = ["query_layers", "query_heads"];

impl HeadKind {
    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prototype => "prototype",
            Self::Softmax => "softmax",
            Self::Query => "query",
        }
    }

    /// Whether classes have prototypes.
    #[must_use]
    pub const fn has_prototypes(self) -> bool {
        matches!(self, Self::Prototype)
    }

    /// Whether the option called `name` means something to this kind.
    pub(super) fn reads(self, name: &str) -> bool {
        let owner = if QUERY.contains(&name) { Self::Query } else { Self::Prototype };
        SHARED.contains(&name) || self == owner
    }

    /// Refuses options that this kind would ignore.
    ///
    /// # Errors
    /// [`Error::Config`] that names them.
    pub(super) fn check_given(self, given: &[&str]) -> Result<()> {
        let foreign: Vec<String> =
            given.iter().filter(|name| !self.reads(name)).map(|name| format!("head.{name}")).collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let (is, it) = if foreign.len() == 1 { ("is", "it") } else { ("are", "them") };
        Err(Error::config(
            format!("{} {is} given and head.kind is \"{}\"", foreign.join(", "), self.name()),
            format!("remove {it}: only another kind of head reads {it}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_its_own_options() {
        let reads = |name| [HeadKind::Prototype, HeadKind::Softmax, HeadKind::Query].map(|k| k.reads(name));
        assert_eq!(reads("empty_loss"), [true; 3]);
        assert_eq!(reads("momentum"), [true, false, false]);
        assert_eq!(reads("query_layers"), [false, false, true]);
    }
}
