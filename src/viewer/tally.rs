//! Pixels counted in the images that were analysed, kept longer than their maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::explain::live::Counts;

use super::album::ImageId;
use super::engine::ModelId;

/// What was counted with one state of a model.
#[derive(Clone, Default)]
pub struct Tally {
    /// `[C,K,D]`.
    pub protos: Arc<Vec<f32>>,
    /// C, K, D.
    pub shape: [usize; 3],
    /// Of each image.
    pub counts: BTreeMap<ImageId, Counts>,
}

impl Tally {
    /// Sum over `images`, as far as they were analysed: `[C,K]`, and how many that were.
    #[must_use]
    pub fn sum(&self, images: impl Iterator<Item = ImageId>) -> (Vec<u64>, usize) {
        let mut sum = vec![0; self.shape[0] * self.shape[1]];
        let mut found = 0;
        for counts in images.filter_map(|image| self.counts.get(&image)) {
            found += 1;
            sum.iter_mut().zip(&counts.prototypes).for_each(|(sum, &n)| *sum += u64::from(n));
        }
        (sum, found)
    }
}

/// The tallies of all models.
#[derive(Default)]
pub struct Tallies {
    models: BTreeMap<ModelId, Tally>,
    revision: u64,
}

impl Tallies {
    /// Adds what was counted in an image. Prototypes that moved, as they do in training, begin a new tally.
    pub fn put(
        &mut self,
        model: ModelId,
        image: ImageId,
        protos: &Arc<Vec<f32>>,
        shape: [usize; 3],
        counts: Counts,
    ) {
        self.revision += 1;
        let tally = self.models.entry(model).or_default();
        if tally.shape != shape || tally.protos != *protos {
            *tally = Tally { protos: Arc::clone(protos), shape, counts: BTreeMap::new() };
        }
        tally.counts.insert(image, counts);
    }

    /// That of a model, once an image was analysed with it.
    #[must_use]
    pub fn get(&self, model: ModelId) -> Option<&Tally> {
        self.models.get(&model)
    }

    /// Forgets a model.
    pub fn forget(&mut self, model: ModelId) {
        self.models.remove(&model);
    }

    /// Another number whenever something was added.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(prototypes: &[u32]) -> Counts {
        Counts { prototypes: prototypes.to_vec(), overlaps: None, shape: [1, 2] }
    }

    #[test]
    fn images_add_up_until_the_prototypes_move() {
        let mut tallies = Tallies::default();
        let (protos, moved) = (Arc::new(vec![1.0, 0.0]), Arc::new(vec![0.0, 1.0]));
        let shape = [1, 2, 1];
        tallies.put(7, 0, &protos, shape, counts(&[1, 2]));
        tallies.put(7, 1, &Arc::new(vec![1.0, 0.0]), shape, counts(&[10, 20]));
        tallies.put(7, 1, &protos, shape, counts(&[30, 40]));
        let sum = |tallies: &Tallies| tallies.get(7).expect("counted").sum([0, 1, 9].into_iter());
        assert_eq!(sum(&tallies), (vec![31, 42], 2), "an image counts once");
        let before = tallies.revision();
        tallies.put(7, 0, &moved, shape, counts(&[5, 6]));
        assert_eq!(sum(&tallies), (vec![5, 6], 1));
        assert!(tallies.revision() > before);
        tallies.forget(7);
        assert!(tallies.get(7).is_none());
    }
}
