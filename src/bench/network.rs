//! MobileNetV2 with the prototype head: a training step and an inference, with random weights.

use crate::data::{ClassInfo, Classes, Normalisation};
use crate::error::Result;
use crate::head::HeadOptions;
use crate::model::{
    Extras, ModelSpec, NetOptions, Optimiser, Phase, Provenance, Recompute, TrainOptions, TrainStep,
    record_network,
};
use crate::nn::{Builder, Mode};
use crate::proto::Profile;
use crate::rng::Rng;
use crate::tape::{DType, Tape};

use super::job::Job;

/// Classes: those of CamVid.
const CLASSES: u8 = 11;

/// The default model, with eleven nameless classes.
fn spec() -> ModelSpec {
    let class = |id: u8| ClassInfo { id: id.into(), name: format!("class {id}"), color: [id; 3] };
    ModelSpec {
        net: NetOptions::default(),
        head: HeadOptions::profile(Profile::Rec),
        classes: Classes::new((0..CLASSES).map(class).collect()),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    }
}

fn normal(rng: &mut Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| f64::from(rng.normal())).collect()
}

/// One training step of `batch` images of `height` x `width`: forward, losses, reverse pass, optimiser, prototype update.
///
/// # Errors
/// Those of the shape rules.
pub fn training(batch: usize, [height, width]: [usize; 2]) -> Result<Job> {
    let options = TrainOptions {
        batch,
        height,
        width,
        optimiser: Optimiser::Sgd { momentum: 0.9 },
        weight_decay: 5e-4,
        decay_norms: true,
        backbone_lr: 1.0,
        extras: Extras::default(),
        seed: 1,
        recompute: Recompute::Never,
        max_bytes: None,
    };
    let step = TrainStep::record(&spec(), &options, Phase::Main)?;
    let mut rng = Rng::new(1, 0);
    // Regions of 4x4 pixels of one class, as large as a pixel of the embedding map.
    let coarse: Vec<f64> = (0..height * width).map(|_| f64::from(rng.below(CLASSES.into()))).collect();
    let label = |i: usize| coarse[(i / width % height / 4) * width + i % width / 4];
    let inputs = vec![
        (step.image, normal(&mut rng, batch * height * width * 3)),
        (step.labels, (0..batch * height * width).map(label).collect()),
        (step.class_weights, vec![1.0; CLASSES.into()]),
        (step.lr, vec![1e-3]),
        (step.step, vec![0.0]),
    ];
    let (kept, fed) = (step.kept(), vec![step.image, step.labels, step.lr, step.step]);
    Ok(Job { tape: step.tape, kept, inputs, fed, weights: step.weights })
}

/// The class map of one image of `height` x `width`.
///
/// # Errors
/// Those of the shape rules.
pub fn inference([height, width]: [usize; 2]) -> Result<Job> {
    let spec = spec();
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, height, width, 3], DType::F32);
    let step = tape.input("step", &[1], DType::U32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let net = record_network(&mut b, &spec, image, step, 0, false)?;
    let weights = b.weights;
    let classifier = net.classifier(&tape, &spec.head)?;
    let [_, h, w] = net.size;
    let found = classifier.record_prediction(&mut tape, [h, w], [height, width])?;
    let inputs = vec![(image, normal(&mut Rng::new(1, 0), height * width * 3))];
    Ok(Job { tape, kept: vec![found.pred], inputs, fed: vec![image], weights })
}
