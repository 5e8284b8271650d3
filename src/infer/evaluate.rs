//! Scores of a model over a split.

use crate::data::Dataset;
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

/// Scores the images with these indices, each whole and once; `progress` is told the number done.
///
/// # Errors
/// Those of reading and of the device.
pub async fn evaluate(
    predictor: &mut Predictor,
    store: &mut Store,
    data: &Dataset,
    images: &[usize],
    progress: &mut dyn FnMut(usize),
) -> Result<Scores> {
    let plain = Ensemble { scales: vec![1.0], flip: false, window: None };
    let mut done = 0;
    let mut each = |_: &Evaluated<'_>| {
        done += 1;
        progress(done);
        Ok(())
    };
    let confusion = evaluate_ensemble(predictor, store, data, images, &plain, &mut each).await?;
    let names: Vec<String> = predictor.spec().classes.classes.iter().map(|c| c.name.clone()).collect();
    Ok(confusion.scores(&names))
}

/// Counts pixels by true and predicted class, with several passes per image; `each` sees every image in turn.
///
/// # Errors
/// Those of reading, of the device, and of `each`.
pub async fn evaluate_ensemble(
    predictor: &mut Predictor,
    store: &mut Store,
    data: &Dataset,
    images: &[usize],
    ensemble: &Ensemble,
    each: &mut dyn FnMut(&Evaluated<'_>) -> Result<()>,
) -> Result<Confusion> {
    let classes = data.classes();
    let mut confusion = Confusion::new(predictor.spec().num_classes());
    for &index in images {
        let sample = data.load(index)?;
        let predicted = if ensemble.is_plain() {
            predictor.classes(store, &sample.image).await?
        } else {
            ensemble.classes(predictor, store, &sample.image).await?
        };
        let labels: Vec<i32> = sample.mask.labels.iter().map(|&l| classes.training_label(l)).collect();
        confusion.add(&labels, &predicted);
        let size = [sample.mask.height, sample.mask.width];
        each(&Evaluated { index, size, labels: &labels, predicted: &predicted })?;
    }
    Ok(confusion)
}
