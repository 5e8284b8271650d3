//! What a head costs as its classes grow: numbers that learn, bytes, and work, from 150 to 10,000 classes.

use crate::data::{ClassInfo, Classes, Normalisation};
use crate::error::Result;
use crate::head::{HeadKind, HeadOptions};
use crate::model::{ClassifierSize, ModelSpec, NetOptions, Provenance};
use crate::proto::Profile;

/// Numbers of classes: ADE20K, the steps of the large-vocabulary experiments, the full ADE20K, and the range that is claimed.
pub const CLASSES: [usize; 6] = [150, 300, 500, 700, 847, 10_000];

/// Numbers of the two heads for `classes` classes with `prototypes` prototypes each and embeddings of `dimension`.
#[derive(Clone, Copy, Debug)]
pub struct HeadNumbers {
    /// Of the prototype head.
    pub prototype: ClassifierSize,
    /// Of the softmax head on the same embeddings.
    pub softmax: ClassifierSize,
}

impl HeadNumbers {
    /// Those of a model.
    ///
    /// # Errors
    /// Those of recording it.
    pub fn of(classes: usize, prototypes: usize, dimension: usize) -> Result<Self> {
        let size = |kind| ClassifierSize::of(&spec(kind, classes, prototypes, dimension));
        Ok(Self { prototype: size(HeadKind::Prototype)?, softmax: size(HeadKind::Softmax)? })
    }
}

fn spec(kind: HeadKind, classes: usize, prototypes: usize, dimension: usize) -> ModelSpec {
    let class = |id: usize| ClassInfo { id: id as u16, name: format!("class {id}"), color: [0; 3] };
    ModelSpec {
        net: NetOptions { embedding: dimension, prototypes, ..NetOptions::default() },
        head: HeadOptions { kind, ..HeadOptions::profile(Profile::Rec) },
        classes: Classes::new((0..classes).map(class).collect()),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HeadSize, head_inference, head_training};
    use super::*;
    use crate::gpu::Caps;
    use crate::tape::{Keep, Program};

    #[test]
    fn what_learns_does_not_grow_and_memory_grows_by_the_prototypes() {
        let size = |classes| HeadSize { classes, prototypes: 10, dimension: 64, side: 32 };
        let bytes = |classes: usize, train: bool| {
            let job = if train { head_training(size(classes)) } else { head_inference(size(classes)) };
            let job = job.expect("shapes fit");
            Program::new(&job.tape, &Caps::floor(), Keep::Only(&job.kept)).bytes()
        };
        for classes in CLASSES {
            let numbers = HeadNumbers::of(classes, 10, 64).expect("recorded");
            assert_eq!((numbers.prototype.learnable, numbers.softmax.learnable), (0, classes * 64));
            assert_eq!(numbers.prototype.prototypes, classes * 640);
        }
        // Per prototype the training step has 4 D bytes of it, 4 D of the sums that will move it, and a few counts.
        let per_class = |train| (bytes(10_000, train) - bytes(847, train)) / (10_000 - 847);
        assert!(per_class(false) <= 10 * 64 * 4 + 64, "{} bytes", per_class(false));
        assert!(per_class(true) <= 2 * 10 * 64 * 4 + 1024, "{} bytes", per_class(true));
    }
}
