//! How many pixels are what.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;
use crate::infer::Maps;
use crate::ops;
use crate::tape::{DType, Keep, Plan, Program, Store, Tape};

/// Pixels of an analysed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// `[C,K]`: predicted class and nearest prototype.
    pub prototypes: Vec<u32>,
    /// `[C,C]`: class of the labels, and predicted class; `None` for an image without labels.
    pub pairs: Option<Vec<u32>>,
    /// Classes C and prototypes K.
    pub shape: [usize; 2],
}

impl Counts {
    /// Counts on the device; `truth [H*W]` holds the class of every pixel as analysed.
    ///
    /// # Errors
    /// Those of recording and of the device.
    pub async fn of(gpu: &Arc<Gpu>, maps: &Maps, truth: Option<&[Option<u32>]>) -> Result<Self> {
        let [height, width] = maps.size;
        let [c, k, _] = maps.shape;
        let mut tape = Tape::new();
        let label = tape.input("label", &[1, height, width], DType::U32);
        let counts = ops::count_labels(&mut tape, label, c, k)?;
        let mut kept = vec![counts];
        let truth_in = tape.input("truth", &[1, height, width], DType::U32);
        if truth.is_some() {
            kept.push(ops::count_pairs(&mut tape, truth_in, label, c)?);
        }
        let program = Program::new(&tape, gpu.caps(), Keep::Only(&kept));
        let given = [(label, maps.label.clone())];
        let plan = Plan::with(gpu, &tape, &program, &mut Store::new(), &given)?;
        if let Some(truth) = truth {
            let labels: Vec<u32> = truth.iter().map(|class| class.unwrap_or(u32::MAX)).collect();
            plan.write(truth_in, &labels);
        }
        plan.run_in_turns().await?;
        let prototypes = plan.read(kept[0]).await?;
        let pairs = match kept.get(1) {
            Some(&pairs) => Some(plan.read(pairs).await?),
            None => None,
        };
        Ok(Self { prototypes, pairs, shape: [c, k] })
    }

    /// Pixels that are predicted as `class`.
    #[must_use]
    pub fn class(&self, class: usize) -> u64 {
        self.of_class(class).iter().map(|&n| u64::from(n)).sum()
    }

    /// Pixels of each of the class's prototypes, `[K]`.
    #[must_use]
    pub fn of_class(&self, class: usize) -> &[u32] {
        let k = self.shape[1];
        &self.prototypes[class * k..(class + 1) * k]
    }

    /// All pixels.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prototypes.iter().map(|&n| u64::from(n)).sum()
    }

    /// Intersection over union of a class in this image; `None` without labels, or where the class is neither there nor predicted.
    #[must_use]
    pub fn iou(&self, class: usize) -> Option<f64> {
        let (pairs, c) = (self.pairs.as_ref()?, self.shape[0]);
        let at = |row: usize, column: usize| u64::from(pairs[row * c + column]);
        let (row, column) =
            ((0..c).map(|i| at(class, i)).sum::<u64>(), (0..c).map(|i| at(i, class)).sum::<u64>());
        let both = at(class, class);
        let union = row + column - both;
        (union > 0).then(|| both as f64 / union as f64)
    }

    /// Mean of [`Counts::iou`] over the classes that the labels have; `None` without labels.
    #[must_use]
    pub fn miou(&self) -> Option<f64> {
        let (pairs, c) = (self.pairs.as_ref()?, self.shape[0]);
        let labelled = (0..c).filter(|&class| pairs[class * c..(class + 1) * c].iter().any(|&n| n > 0));
        let found: Vec<f64> = labelled.filter_map(|class| self.iou(class)).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn scores_of_one_image() {
        // Class 0: 6 right, 2 taken for class 1; class 1: 2 right; class 2 neither there nor predicted.
        let counts = Counts {
            prototypes: vec![4, 2, 3, 1, 0, 0],
            pairs: Some(vec![6, 2, 0, 0, 2, 0, 0, 0, 0]),
            shape: [3, 2],
        };
        assert_eq!((counts.class(0), counts.class(1), counts.total()), (6, 4, 10));
        assert_eq!(counts.of_class(1), [3, 1]);
        assert_eq!([counts.iou(0), counts.iou(1), counts.iou(2)], [Some(0.75), Some(0.5), None]);
        assert_eq!(counts.miou(), Some(0.625));
        assert_eq!(Counts { pairs: None, ..counts }.miou(), None);
    }
}
