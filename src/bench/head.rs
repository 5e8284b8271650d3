//! The prototype head alone: a training step (matching, three losses, clustering, update and gradients) and an inference.

use crate::error::Result;
use crate::head::{Embedded, HeadOptions};
use crate::model::{Network, Phase, Supervision, record_objective};
use crate::nn::Weights;
use crate::ops;
use crate::proto::{self, Noise, Profile};
use crate::rng::Rng;
use crate::tape::{DType, Tape, ValueId};

use super::job::Job;

/// The labels and maps are this many times larger than the embedding map, as with a backbone of stride 4.
const SCALE: usize = 4;

/// Sizes of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSize {
    /// Classes C.
    pub classes: usize,
    /// Prototypes per class K.
    pub prototypes: usize,
    /// Dimension D of the embeddings.
    pub dimension: usize,
    /// Side of the square embedding map: N is its square.
    pub side: usize,
}

impl HeadSize {
    /// Records embeddings, prototypes and class norm as inputs, and what is to be written into them.
    fn record(self, tape: &mut Tape, rng: &mut Rng) -> (Network, Vec<(ValueId, Vec<f64>)>) {
        let Self { classes, prototypes, dimension, side } = self;
        let emb = tape.input("embeddings", &[side * side, dimension], DType::F32);
        let gamma = tape.input("gamma", &[classes], DType::F32);
        let beta = tape.input("beta", &[classes], DType::F32);
        let protos = tape.state("prototypes", &[classes, prototypes, dimension], DType::F32);
        let embedded = Embedded { raw: emb, normed: emb, ln: emb, emb };
        let net = Network { size: [1, side, side], embedded, protos, mask_norm: Some((gamma, beta)) };
        let mut rows = |count: usize| -> Vec<f64> {
            let mut data: Vec<f64> = (0..count * dimension).map(|_| f64::from(rng.normal())).collect();
            for row in data.chunks_mut(dimension) {
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter_mut().for_each(|x| *x /= norm);
            }
            data
        };
        let inputs = vec![
            (emb, rows(side * side)),
            (protos, rows(classes * prototypes)),
            (gamma, vec![1.0; classes]),
            (beta, vec![0.0; classes]),
        ];
        (net, inputs)
    }
}

/// The step on unit embeddings, labels four times as large. Kept are the losses and the gradients of the embeddings and of the
/// class norm's scale and shift.
///
/// # Errors
/// Those of the shape rules.
pub fn head_training(size: HeadSize) -> Result<Job> {
    let HeadSize { classes, side, .. } = size;
    let mut tape = Tape::new();
    let mut rng = Rng::new(1, 0);
    let labels = tape.input("labels", &[1, side * SCALE, side * SCALE], DType::I32);
    let weights = tape.input("class weights", &[classes], DType::F32);
    let step = tape.input("step", &[1], DType::U32);
    let (net, mut inputs) = size.record(&mut tape, &mut rng);
    let (emb, (gamma, beta)) = (inputs[0].0, (inputs[2].0, inputs[3].0));
    proto::normalise(&mut tape, net.protos)?;
    let options = HeadOptions::profile(Profile::Rec);
    let supervision =
        Supervision { labels, class_weights: weights, hard: None, noise: Noise::Drawn { seed: 1, step } };
    let objective = record_objective(&mut tape, &net, &options, supervision, Phase::Main)?;
    let grads = ops::backward(&mut tape, objective.losses.total, &[emb, gamma, beta])?;
    objective.record_update(&mut tape, &net, &options)?;
    let kept = objective.losses.all().into_iter().chain(grads.into_iter().flatten()).collect();

    // One label per pixel of the map, repeated: the pixels of a class are found with the same number of labels.
    let coarse: Vec<f64> = (0..side * side).map(|_| f64::from(rng.below(classes as u32))).collect();
    let wide = side * SCALE;
    let fine = (0..wide * wide).map(|i| coarse[i / wide / SCALE * side + i % wide / SCALE]).collect();
    inputs.extend([(labels, fine), (weights, vec![1.0; classes]), (step, vec![0.0])]);
    Ok(Job { tape, kept, inputs, fed: Vec::new(), weights: Weights::default() })
}

/// The class map, four times as large, of unit embeddings.
///
/// # Errors
/// Those of the shape rules.
pub fn head_inference(size: HeadSize) -> Result<Job> {
    let mut tape = Tape::new();
    let (net, inputs) = size.record(&mut tape, &mut Rng::new(1, 0));
    let classifier = net.classifier(&tape, &HeadOptions::profile(Profile::Rec))?;
    let (map, wide) = ([size.side; 2], [size.side * SCALE; 2]);
    let found = classifier.record_prediction(&mut tape, map, wide)?;
    let kept = vec![found.pred, net.protos];
    Ok(Job { tape, kept, inputs, fed: Vec::new(), weights: Weights::default() })
}
