//! Scores of a model over a split.

use crate::data::{Dataset, Sample};
use crate::error::Result;
use crate::tape::Store;

use super::ensemble::Ensemble;
use super::metrics::{Confusion, Scores};
use super::predict::Predictor;

/// One image with its labels and what the model says of it.
pub struct Evaluated<'a> {
    /// Its place in the data set.
    pub index: usize,
    /// Height and width.
    pub size: [usize; 2],
    /// Class of every pixel, row by row; -1 where it is ignored.
    pub labels: &'a [i32],
    /// Predicted class of every pixel.
    pub predicted: &'a [u32],
}

/// Scores of a model, and how its prototypes share the work.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The scores.
    pub scores: Scores,
    /// Places of the feature maps by predicted class and nearest prototype of that class, `[C,K]`, ignored ones among them; all
    /// 0 for a model without prototypes.
    pub usage: Vec<u64>,
}

/// Evaluates on the images with these indices, each whole and once; `progress` is told the number done.
///
/// # Errors
/// Those of reading and of the device.
pub async fn evaluate(
    predictor: &mut Predictor,
    store: &mut Store,
    data: &Dataset,
    images: &[usize],
    progress: &mut dyn FnMut(usize),
) -> Result<Evaluation> {
    let [num_classes, num_prototypes] = [predictor.spec().num_classes(), predictor.spec().net.prototypes];
    let mut confusion = Confusion::new(num_classes);
    let mut usage = vec![0; num_classes * num_prototypes];
    for (done, &index) in images.iter().enumerate() {
        let sample = data.load(index)?;
        let predicted = predictor.classes_and_usage(store, &sample.image, &mut usage).await?;
        confusion.add(&labels(data, &sample), &predicted);
        progress(done + 1);
    }
    let names: Vec<String> = predictor.spec().classes.classes.iter().map(|c| c.name.clone()).collect();
    Ok(Evaluation { scores: confusion.scores(&names), usage })
}

/// Counts pixels by true and predicted class, with several passes per image; `each` sees every image in turn. Adds to
/// `usage [C,K]`, if it is given, what [`Evaluation::usage`] counts; with several passes that takes one more, of the whole image.
///
/// # Errors
/// Those of reading, of the device, and of `each`.
pub async fn evaluate_ensemble(
    predictor: &mut Predictor,
    store: &mut Store,
    data: &Dataset,
    images: &[usize],
    ensemble: &Ensemble,
    mut usage: Option<&mut [u64]>,
    each: &mut dyn FnMut(&Evaluated<'_>) -> Result<()>,
) -> Result<Confusion> {
    let mut confusion = Confusion::new(predictor.spec().num_classes());
    for &index in images {
        let sample = data.load(index)?;
        let plain = match usage.as_deref_mut() {
            Some(usage) => Some(predictor.classes_and_usage(store, &sample.image, usage).await?),
            None if ensemble.is_plain() => Some(predictor.classes(store, &sample.image).await?),
            None => None,
        };
        let predicted = match plain {
            Some(classes) if ensemble.is_plain() => classes,
            _ => ensemble.classes(predictor, store, &sample.image).await?,
        };
        let labels = labels(data, &sample);
        confusion.add(&labels, &predicted);
        let size = [sample.mask.height, sample.mask.width];
        each(&Evaluated { index, size, labels: &labels, predicted: &predicted })?;
    }
    Ok(confusion)
}

/// The class of every pixel of a sample, -1 where it is ignored.
fn labels(data: &Dataset, sample: &Sample) -> Vec<i32> {
    sample.mask.labels.iter().map(|&label| data.classes().training_label(label)).collect()
}
