//! How many pixels are what.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;
use crate::infer::Maps;
use crate::ops;
use crate::tape::{DType, Keep, Plan, Program, Store, Tape};

/// Most classes for which pairs of classes are counted on the device, `[C,C]`: 4 MiB. Beyond, the maps are read back.
const MAX_PAIRED: usize = 1024;

/// Labelled pixels of a class in one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Those that are labelled as the class.
    pub labelled: u32,
    /// Those that are predicted as the class.
    pub predicted: u32,
    /// Those that are both.
    pub both: u32,
}

/// Pixels of an analysed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// `[C,K]`: predicted class and nearest prototype.
    pub prototypes: Vec<u32>,
    /// `[C]`: what labels and prediction share; `None` for an image without labels.
    pub overlaps: Option<Vec<Overlap>>,
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
        if truth.is_some() && c <= MAX_PAIRED {
            kept.push(ops::count_pairs(&mut tape, truth_in, label, c)?);
        }
        let program = Program::new(&tape, gpu.caps(), Keep::Only(&kept));
        let given = [(label, maps.label.clone())];
        let plan = Plan::with(gpu, &tape, &program, &mut Store::new(), &given)?;
        if let Some(truth) = truth.filter(|_| kept.len() > 1) {
            let labels: Vec<u32> = truth.iter().map(|class| class.unwrap_or(u32::MAX)).collect();
            plan.write(truth_in, &labels);
        }
        plan.run_in_turns().await?;
        let prototypes = plan.read(kept[0]).await?;
        let overlaps = match (kept.get(1), truth) {
            (_, None) => None,
            (Some(&pairs), _) => Some(of_pairs(&plan.read(pairs).await?, c)),
            (None, Some(truth)) => {
                let bytes = gpu.read(&maps.label, (4 * height * width) as u64).await?;
                Some(of_maps(truth, &bytemuck::pod_collect_to_vec(&bytes), c))
            }
        };
        Ok(Self { prototypes, overlaps, shape: [c, k] })
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
        let Overlap { labelled, predicted, both } = self.overlaps.as_ref()?[class];
        let union = u64::from(labelled) + u64::from(predicted) - u64::from(both);
        (union > 0).then(|| f64::from(both) / union as f64)
    }

    /// Mean of [`Counts::iou`] over the classes that the labels have; `None` without labels.
    #[must_use]
    pub fn miou(&self) -> Option<f64> {
        let overlaps = self.overlaps.as_ref()?;
        let labelled = (0..overlaps.len()).filter(|&class| overlaps[class].labelled > 0);
        let found: Vec<f64> = labelled.filter_map(|class| self.iou(class)).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    }
}

/// What the classes share in `pairs [C,C]`: class of the labels, and predicted class.
fn of_pairs(pairs: &[u32], num_classes: usize) -> Vec<Overlap> {
    let mut overlaps = vec![Overlap::default(); num_classes];
    for (label, row) in pairs.chunks_exact(num_classes).enumerate() {
        overlaps[label].both = row[label];
        overlaps[label].labelled = row.iter().sum();
        overlaps.iter_mut().zip(row).for_each(|(overlap, &n)| overlap.predicted += n);
    }
    overlaps
}

/// The same of the maps: the class of the labels, and `label [H*W]` with the predicted class in its low 16 bits.
fn of_maps(truth: &[Option<u32>], label: &[u32], num_classes: usize) -> Vec<Overlap> {
    let mut overlaps = vec![Overlap::default(); num_classes];
    for (truth, label) in truth.iter().zip(label) {
        let (Some(truth), predicted) = (truth.map(|class| class as usize), (label & 0xffff) as usize) else {
            continue;
        };
        if truth < num_classes && predicted < num_classes {
            overlaps[truth].labelled += 1;
            overlaps[predicted].predicted += 1;
            overlaps[truth].both += u32::from(truth == predicted);
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_one_image() {
        // Class 0: 6 right, 2 taken for class 1; class 1: 2 right; class 2 neither there nor predicted.
        let counts = Counts {
            prototypes: vec![4, 2, 3, 1, 0, 0],
            overlaps: Some(of_pairs(&[6, 2, 0, 0, 2, 0, 0, 0, 0], 3)),
            shape: [3, 2],
        };
        assert_eq!((counts.class(0), counts.class(1), counts.total()), (6, 4, 10));
        assert_eq!(counts.of_class(1), [3, 1]);
        assert_eq!([counts.iou(0), counts.iou(1), counts.iou(2)], [Some(0.75), Some(0.5), None]);
        assert_eq!(counts.miou(), Some(0.625));
        let truth = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 9].map(|class| (class != 9).then_some(class));
        let label = [0, 0, 1 << 16, 0, 0, 0, 1, 1, 1, 1, 2];
        assert_eq!(counts.overlaps, Some(of_maps(&truth, &label, 3)), "counted one way or the other");
        assert_eq!(Counts { overlaps: None, ..counts }.miou(), None);
    }
}
