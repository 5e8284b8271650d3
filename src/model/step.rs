//! One training step as a tape (spec section 8).

use crate::error::Result;
use crate::head::{CrossEntropy, Targets};
use crate::nn::{Builder, Mode, Weights};
use crate::ops;
use crate::proto::{self, Noise};
use crate::tape::{DType, Plan, Role, Tape, Value, ValueId};

use super::record::record_network;
use super::spec::ModelSpec;

/// Momentum buffers are stored under this prefix plus the weight's name.
pub const VELOCITY: &str = "velocity/";

/// Warm-up trains by cross-entropy alone (spec section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Cross-entropy only, no clustering, no prototype update.
    WarmUp,
    /// Everything.
    Main,
}

/// What a step needs beside the spec.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Images per step.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Momentum of the optimiser.
    pub momentum: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Learning rate of the backbone as a multiple of the head's.
    pub backbone_lr: f32,
    /// Seed of dropout and Gumbel noise.
    pub seed: u32,
}

/// One-element values that hold the losses after a run.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// `ce + ppc_weight * ppc + ppd_weight * ppd`.
    pub total: ValueId,
    /// Cross-entropy [Eq. 7].
    pub ce: ValueId,
    /// Contrastive loss [Eq. 11] and distance loss [Eq. 12], not weighted; absent in the warm-up.
    pub prototype: Option<(ValueId, ValueId)>,
}

impl Losses {
    /// Ids to keep.
    #[must_use]
    pub fn all(&self) -> Vec<ValueId> {
        let (ppc, ppd) = self.prototype.unzip();
        [Some(self.total), Some(self.ce), ppc, ppd].into_iter().flatten().collect()
    }

    /// Total, CE, PPC, PPD of the last run; 0 for what the warm-up does not have.
    ///
    /// # Errors
    /// Those of the read-back.
    pub async fn read(&self, plan: &Plan) -> Result<[f32; 4]> {
        let mut out = [0.0; 4];
        out[0] = plan.read::<f32>(self.total).await?[0];
        out[1] = plan.read::<f32>(self.ce).await?[0];
        if let Some((ppc, ppd)) = self.prototype {
            out[2] = plan.read::<f32>(ppc).await?[0];
            out[3] = plan.read::<f32>(ppd).await?[0];
        }
        Ok(out)
    }
}

/// A recorded step: forward, losses, reverse pass, optimiser, prototype update.
pub struct TrainStep {
    /// The tape.
    pub tape: Tape,
    /// Images `[B,H,W,3]`, normalised.
    pub image: ValueId,
    /// Labels `[B,H,W]`, -1 = ignored.
    pub labels: ValueId,
    /// Class weights of the cross-entropy `[C]`.
    pub class_weights: ValueId,
    /// Learning rate of the head `[1]`.
    pub lr: ValueId,
    /// Number of the step `[1]`.
    pub step: ValueId,
    /// The losses.
    pub losses: Losses,
    /// Catalogue of weights and state.
    pub weights: Weights,
}

impl TrainStep {
    /// Records the step.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record(spec: &ModelSpec, o: &TrainOptions, phase: Phase) -> Result<Self> {
        let mut tape = Tape::new();
        let image = tape.input("image", &[o.batch, o.height, o.width, 3], DType::F32);
        let labels = tape.input("labels", &[o.batch, o.height, o.width], DType::I32);
        let class_weights = tape.input("class weights", &[spec.num_classes()], DType::F32);
        let lr = tape.input("lr", &[1], DType::F32);
        let step = tape.input("step", &[1], DType::U32);
        let learnable = phase == Phase::WarmUp && spec.head.learns_prototypes();
        let mut b = Builder::new(&mut tape, Mode::Train);
        let net = record_network(&mut b, spec, image, step, o.seed, learnable)?;
        let weights = b.weights;
        let emb = net.embedded.emb;

        tape.enter("classify");
        let classifier = net.classifier(&tape, &spec.head)?;
        let [_, height, width] = net.size;
        let targets = Targets {
            labels,
            weights: Some(class_weights),
            size: [height, width],
            empty: spec.head.empty_loss,
        };
        let CrossEntropy { loss: ce, pred } =
            classifier.record_cross_entropy(&mut tape, targets, learnable)?;
        tape.leave();
        let mut total = ce;
        let mut prototype = None;
        let mut clustering = None;
        if phase == Phase::Main {
            let cluster = spec.head.cluster();
            let gt = ops::sample_labels(&mut tape, labels, [height, width], spec.num_classes())?;
            let noise = Some(Noise::Drawn { seed: o.seed, step });
            let found = proto::cluster(&mut tape, emb, net.protos, gt, &cluster, noise)?;
            let (ppc, ppd) = proto::losses(&mut tape, emb, net.protos, &found, &cluster)?;
            total = ops::add(&mut tape, total, ppc, spec.head.ppc_weight)?;
            total = ops::add(&mut tape, total, ppd, spec.head.ppd_weight)?;
            prototype = Some((ppc, ppd));
            clustering = Some((found, cluster));
        }
        let params = tape.params();
        let grads = ops::backward(&mut tape, total, &params)?;
        tape.enter("optimise");
        for (&param, gradient) in params.iter().zip(grads) {
            let Some(gradient) = gradient else { continue };
            let (name, shape) = (tape.value(param).name.clone(), tape.value(param).shape.clone());
            let velocity = tape.state(&format!("{VELOCITY}{name}"), &shape, DType::F32);
            let factor = if spec.net.arch.owns(&name) { o.backbone_lr } else { 1.0 };
            let sgd = ops::Sgd { momentum: o.momentum, weight_decay: o.weight_decay, lr_scale: factor };
            ops::sgd(&mut tape, param, gradient, velocity, lr, sgd)?;
        }
        tape.leave();
        // After the reverse pass, whose gradients read the old prototypes (spec section 8, steps 3 and 4).
        if let (Some((found, cluster)), true) = (clustering, spec.head.update_prototype) {
            proto::update(&mut tape, emb, net.protos, pred, &found, &cluster)?;
        }
        let losses = Losses { total, ce, prototype };
        Ok(Self { tape, image, labels, class_weights, lr, step, losses, weights })
    }

    /// Every value that lives in the store.
    #[must_use]
    pub fn stored(&self) -> Vec<Value> {
        let stored = |v: &&Value| matches!(v.role, Role::Param | Role::State);
        self.tape.values().iter().filter(stored).cloned().collect()
    }
}
