//! A training step of the prototype head alone: matching, three losses, clustering, update and gradients.

use crate::error::Result;
use crate::head::{Embedded, HeadOptions};
use crate::model::{Network, Phase, Supervision, record_objective};
use crate::nn::Weights;
use crate::ops;
use crate::proto::{self, Noise, Profile};
use crate::rng::Rng;
use crate::tape::{DType, Tape};

use super::job::Job;

/// Side of the square embedding map: N = 16,384 pixels.
const SIDE: usize = 128;
/// The labels are this many times larger, as with crops of 512 pixels and a backbone of stride 4.
const SCALE: usize = 4;
/// Prototypes per class, and dimension.
const PROTOS: usize = 10;
const DIMENSION: usize = 256;

/// The step with `classes` classes, K = 10, D = 256 and N = 16,384 unit embeddings, labels at 512x512. Kept are the losses and
/// the gradients of the embeddings and of the class norm's scale and shift.
///
/// # Errors
/// Those of the shape rules.
pub fn head_step(classes: usize) -> Result<Job> {
    let mut tape = Tape::new();
    let emb = tape.input("embeddings", &[SIDE * SIDE, DIMENSION], DType::F32);
    let labels = tape.input("labels", &[1, SIDE * SCALE, SIDE * SCALE], DType::I32);
    let weights = tape.input("class weights", &[classes], DType::F32);
    let gamma = tape.input("gamma", &[classes], DType::F32);
    let beta = tape.input("beta", &[classes], DType::F32);
    let step = tape.input("step", &[1], DType::U32);
    let protos = tape.state("prototypes", &[classes, PROTOS, DIMENSION], DType::F32);
    proto::normalise(&mut tape, protos)?;
    let embedded = Embedded { raw: emb, normed: emb, ln: emb, emb };
    let net = Network { size: [1, SIDE, SIDE], embedded, protos, mask_norm: Some((gamma, beta)) };
    let options = HeadOptions::profile(Profile::Rec);
    let supervision =
        Supervision { labels, class_weights: weights, hard: None, noise: Noise::Drawn { seed: 1, step } };
    let objective = record_objective(&mut tape, &net, &options, supervision, Phase::Main)?;
    let grads = ops::backward(&mut tape, objective.losses.total, &[emb, gamma, beta])?;
    objective.record_update(&mut tape, &net, &options)?;
    let kept = objective.losses.all().into_iter().chain(grads.into_iter().flatten()).collect();

    let mut rng = Rng::new(1, 0);
    let rows = |rng: &mut Rng, count: usize| -> Vec<f64> {
        let mut data: Vec<f64> = (0..count * DIMENSION).map(|_| f64::from(rng.normal())).collect();
        for row in data.chunks_mut(DIMENSION) {
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        data
    };
    // One label per pixel of the map, repeated: the pixels of a class are found with the same number of labels.
    let coarse: Vec<f64> = (0..SIDE * SIDE).map(|_| f64::from(rng.below(classes as u32))).collect();
    let side = SIDE * SCALE;
    let fine = (0..side * side).map(|i| coarse[i / side / SCALE * SIDE + i % side / SCALE]).collect();
    let inputs = vec![
        (emb, rows(&mut rng, SIDE * SIDE)),
        (protos, rows(&mut rng, classes * PROTOS)),
        (labels, fine),
        (weights, vec![1.0; classes]),
        (gamma, vec![1.0; classes]),
        (beta, vec![0.0; classes]),
        (step, vec![0.0]),
    ];
    Ok(Job { tape, kept, inputs, fed: Vec::new(), weights: Weights::default() })
}
