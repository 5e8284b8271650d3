//! The batch of a step as a function of the step.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::LoaderSettings;
use crate::data::augment::{Padding, augment};
use crate::data::batch::Batch;
use crate::data::dataset::{Dataset, Sample};
use crate::error::Result;
use crate::rng::{Rng, hash};

/// Decoded images are kept up to this size, so that small data sets are decoded once.
const CACHE_BYTES: usize = 1 << 30;

/// Keeps the draws of the order apart from those of the augmentation: both count their streams from 0.
const ORDER: u32 = 0x6F72_6465;
const AUGMENT: u32 = 0x6175_676D;

/// Everything a batch is made of, and the images decoded so far.
pub struct Recipe {
    dataset: Arc<Dataset>,
    settings: LoaderSettings,
    decoded: Vec<OnceLock<Arc<Sample>>>,
    decoded_bytes: AtomicUsize,
}

impl Recipe {
    pub fn new(dataset: Arc<Dataset>, settings: LoaderSettings) -> Self {
        let decoded = (0..dataset.len()).map(|_| OnceLock::new()).collect();
        Self { dataset, settings, decoded, decoded_bytes: AtomicUsize::new(0) }
    }

    /// The batch of `step`. Samples are counted through the whole run; an epoch is one pass in an order of its own, and a
    /// batch may end one epoch and begin the next.
    pub fn batch(&self, step: u64) -> Result<Batch> {
        let LoaderSettings { augment: variation, normalisation, batch: num_images, seed, .. } =
            &self.settings;
        let padding =
            Padding { rgb: normalisation.neutral_rgb(), label: self.dataset.classes().ignore_index };
        let num_samples = self.dataset.len() as u64;
        let mut batch = Batch::with_room(step, *num_images, variation.crop_height, variation.crop_width);
        let mut order = (u64::MAX, Vec::new());
        for counter in (0..*num_images as u64).map(|i| step * *num_images as u64 + i) {
            let epoch = counter / num_samples;
            if order.0 != epoch {
                order = (epoch, self.order(epoch));
            }
            let sample = self.sample(order.1[(counter % num_samples) as usize])?;
            let mut rng = stream(*seed ^ AUGMENT, counter);
            let crop = augment(&sample, variation, padding, &mut rng);
            batch.push(&crop, normalisation, self.dataset.classes());
        }
        Ok(batch)
    }

    /// The order of the samples in `epoch`.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.dataset.len()).collect();
        stream(self.settings.seed ^ ORDER, epoch).shuffle(&mut order);
        order
    }

    /// Sample number `index`, decoded now or before.
    fn sample(&self, index: usize) -> Result<Arc<Sample>> {
        if let Some(sample) = self.decoded[index].get() {
            return Ok(Arc::clone(sample));
        }
        let sample = Arc::new(self.dataset.load(index)?);
        let num_bytes = sample.image.rgb.len() + size_of_val(&sample.mask.labels[..]);
        let grown = |total: usize| Some(total + num_bytes).filter(|&total| total <= CACHE_BYTES);
        // Two threads that decode the same image at once count it twice: the cache is then a little smaller than allowed.
        if self.decoded_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok() {
            return Ok(Arc::clone(self.decoded[index].get_or_init(|| sample)));
        }
        Ok(sample)
    }
}

/// The stream of `seed` for a counter of 64 bits.
fn stream(seed: u32, counter: u64) -> Rng {
    Rng::new(hash(seed ^ hash((counter >> 32) as u32)), counter as u32)
}
