//! Scores of a model over a split.

use crate::data::Dataset;
use crate::error::Result;
use crate::tape::Store;

use super::ensemble::Ensemble;
use super::metrics::{Confusion, Scores};
use super::predict::Predictor;

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
    evaluate_ensemble(predictor, store, data, images, &plain, progress).await
}

/// The same with several passes per image.
///
/// # Errors
/// Those of reading and of the device.
pub async fn evaluate_ensemble(
    predictor: &mut Predictor,
    store: &mut Store,
    data: &Dataset,
    images: &[usize],
    ensemble: &Ensemble,
    progress: &mut dyn FnMut(usize),
) -> Result<Scores> {
    let classes = data.classes();
    let mut confusion = Confusion::new(predictor.spec().num_classes());
    for (done, &index) in images.iter().enumerate() {
        let sample = data.load(index)?;
        let predicted = if ensemble.is_plain() {
            predictor.classes(store, &sample.image).await?
        } else {
            ensemble.classes(predictor, store, &sample.image).await?
        };
        let labels: Vec<i32> = sample.mask.labels.iter().map(|&l| classes.training_label(l)).collect();
        confusion.add(&labels, &predicted);
        progress(done + 1);
    }
    let names: Vec<String> = predictor.spec().classes.classes.iter().map(|c| c.name.clone()).collect();
    Ok(confusion.scores(&names))
}
