//! How many numbers a head needs to tell classes apart: the part of a network that depends on C.

use serde::Serialize;

use crate::error::Result;
use crate::head::{CLASSIFIER, HeadKind, QUERY};
use crate::nn::{Builder, Mode, Weights};
use crate::tape::{DType, Tape};

use super::record::{PROTOTYPES, record_network};
use super::spec::ModelSpec;

/// Numbers of what makes class scores of embeddings; backbone, neck and projection are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClassifierSize {
    /// The kind of head.
    pub kind: HeadKind,
    /// Learnable parameters of the classifier: 0 for prototypes that no gradient trains, C D for the softmax head, queries and
    /// decoder together for the query head.
    pub learnable: usize,
    /// Those of them whose number grows with the classes.
    pub grows_with_classes: usize,
    /// Scale and shift of the mask norm, 2 C, which the prototype head learns beside them.
    pub mask_norm: usize,
    /// Numbers of the prototypes, C K D, where they are state that no gradient trains.
    pub prototypes: usize,
}

impl ClassifierSize {
    /// That of the models of `spec`.
    ///
    /// # Errors
    /// Those of recording the network.
    pub fn of(spec: &ModelSpec) -> Result<Self> {
        // Any size does: no weight depends on that of the image.
        let mut tape = Tape::new();
        let image = tape.input("image", &[1, 32, 32, 3], DType::F32);
        let step = tape.input("step", &[1], DType::U32);
        let mut b = Builder::new(&mut tape, Mode::Eval);
        record_network(&mut b, spec, image, step, 0, !spec.head.use_prototype)?;
        Ok(Self::count(spec.head.kind, &b.weights))
    }

    fn count(kind: HeadKind, weights: &Weights) -> Self {
        let sum = |wanted: &dyn Fn(&str, bool) -> bool| -> usize {
            let entries = weights.0.iter().filter(|e| wanted(&e.name, e.trained));
            entries.map(|e| e.disk_shape().iter().product::<usize>()).sum()
        };
        let own = |name: &str| name == PROTOTYPES || name == CLASSIFIER || name.starts_with(QUERY);
        let queries = format!("{QUERY}weight");
        let per_class = |name: &str| name == PROTOTYPES || name == CLASSIFIER || name == queries;
        Self {
            kind,
            learnable: sum(&|name, trained| own(name) && trained),
            grows_with_classes: sum(&|name, trained| per_class(name) && trained),
            mask_norm: sum(&|name, _| name.starts_with("head.mask_norm.")),
            prototypes: sum(&|name, trained| name == PROTOTYPES && !trained),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ClassInfo, Classes, Normalisation};
    use crate::head::HeadConfig;
    use crate::model::{NetOptions, Provenance};

    fn size(classes: usize, head: &str) -> ClassifierSize {
        let class = |i: usize| ClassInfo { id: i as u16, name: format!("class {i}"), color: [0; 3] };
        let spec = ModelSpec {
            net: NetOptions { embedding: 48, prototypes: 5, ..NetOptions::default() },
            head: toml::from_str::<HeadConfig>(head).expect("keys").resolve().expect("valid"),
            classes: Classes::new((0..classes).map(class).collect()),
            normalisation: Normalisation::default(),
            provenance: Provenance::default(),
        };
        ClassifierSize::of(&spec).expect("recorded")
    }

    #[test]
    fn learnable_parameters_are_those_of_the_formulas() {
        let d = 48;
        for c in [11, 150, 847] {
            let prototype = size(c, "");
            assert_eq!(
                [prototype.learnable, prototype.mask_norm, prototype.prototypes],
                [0, 2 * c, c * 5 * d]
            );
            assert_eq!(size(c, "class_logit = \"plain\"").mask_norm, 0);
            assert_eq!(size(c, "use_prototype = false").learnable, c * 5 * d);
            let softmax = size(c, "kind = \"softmax\"");
            assert_eq!([softmax.learnable, softmax.grows_with_classes], [c * d; 2]);
            assert_eq!([softmax.mask_norm, softmax.prototypes], [0; 2]);
            let query = size(c, "kind = \"query\"\nquery_layers = 3");
            assert_eq!(query.grows_with_classes, c * d);
            // Two attentions of four projections, a feed-forward network of width 4 D, three norms; MobileNetV2 ends at 320.
            let layer = (8 * d * d + 6 * d) + (4 * d * d + 4 * d) + (4 * d * d + d) + 6 * d;
            assert_eq!(query.learnable, c * d + (320 * d + d) + 3 * layer);
        }
    }
}
