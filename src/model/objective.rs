//! From the network to the losses, and the prototype update that belongs to them (spec sections 5 to 8).

use crate::error::Result;
use crate::head::{CrossEntropy, HeadOptions, Targets};
use crate::ops::{self, HardPixels};
use crate::proto::{self, Clustering, Noise};
use crate::tape::{Plan, Tape, ValueId};

use super::record::Network;

/// Warm-up trains by cross-entropy alone (spec section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Cross-entropy only, no clustering, no prototype update.
    WarmUp,
    /// Everything.
    Main,
}

/// One-element values that hold the losses after a run.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// `ce + ppc_weight * ppc + ppd_weight * ppd`.
    pub total: ValueId,
    /// Cross-entropy [Eq. 7].
    pub ce: ValueId,
    /// Contrastive loss [Eq. 11] and distance loss [Eq. 12], not weighted; absent in the warm-up and for the rivals.
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

/// What the losses compare the network's output with.
#[derive(Clone, Copy, Debug)]
pub struct Supervision {
    /// Labels `i32 [B,HL,WL]`; those outside `0..C` are ignored.
    pub labels: ValueId,
    /// Class weights of the cross-entropy `[C]`.
    pub class_weights: ValueId,
    /// Which pixels the cross-entropy counts; all that are labelled if this is absent.
    pub hard: Option<HardPixels>,
    /// Read with `update_assign = "gumbel"` only.
    pub noise: Noise,
}

/// Losses, and what the prototype update takes over from them.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// The losses.
    pub losses: Losses,
    /// Predicted class at feature resolution, `u32 [N]`.
    pub pred: ValueId,
    /// The clustering; absent in the warm-up.
    pub clustering: Option<Clustering>,
}

/// Records clustering and losses on `net`.
///
/// # Errors
/// Those of the shape rules.
pub fn record_objective(
    tape: &mut Tape,
    net: &Network,
    options: &HeadOptions,
    given: Supervision,
    phase: Phase,
) -> Result<Objective> {
    let [_, height, width] = net.size;
    // The rivals have nothing but the cross-entropy, whatever the phase.
    let alone = phase == Phase::WarmUp || !options.kind.has_prototypes();
    let learnable = alone && options.learns_prototypes();
    let mut classifier = net.classifier(tape, options)?;
    classifier.only_hard(given.hard);
    let targets = Targets {
        labels: given.labels,
        weights: Some(given.class_weights),
        size: [height, width],
        empty: options.empty_loss,
    };
    if alone {
        let CrossEntropy { loss: ce, pred } =
            tape.scoped("classify", |tape| classifier.record_cross_entropy(tape, targets, learnable))?;
        return Ok(Objective { losses: Losses { total: ce, ce, prototype: None }, pred, clustering: None });
    }
    let (emb, protos, cluster) = (net.embedded.emb, net.protos, options.cluster());
    let num_classes = tape.value(protos).shape[0];
    let gt = ops::sample_labels(tape, given.labels, [height, width], num_classes)?;
    let found = proto::cluster(tape, emb, protos, gt, &cluster, Some(given.noise))?;
    // Clustering first: matching then finds the contrast's targets, and the prototypes are walked once for both.
    let contrast =
        tape.scoped("classify", |tape| classifier.record_match(tape, found.target, cluster.tau))?;
    let CrossEntropy { loss: ce, pred } =
        tape.scoped("classify", |tape| classifier.record_cross_entropy(tape, targets, learnable))?;
    let (ppc, ppd) = proto::losses(tape, emb, protos, &found, &cluster, contrast)?;
    let total = ops::add(tape, ce, ppc, options.ppc_weight)?;
    let total = ops::add(tape, total, ppd, options.ppd_weight)?;
    Ok(Objective { losses: Losses { total, ce, prototype: Some((ppc, ppd)) }, pred, clustering: Some(found) })
}

impl Objective {
    /// Records the prototype update, unless the phase or the options have none, and returns how many pixels moved each
    /// prototype, `u32 [C,K]`. Record it after the reverse pass, whose gradients read the old prototypes (spec section 8,
    /// steps 3 and 4).
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record_update(
        &self,
        tape: &mut Tape,
        net: &Network,
        options: &HeadOptions,
    ) -> Result<Option<ValueId>> {
        match &self.clustering {
            Some(found) if options.update_prototype => {
                let (emb, cluster) = (net.embedded.emb, options.cluster());
                proto::update(tape, emb, net.protos, self.pred, found, &cluster).map(Some)
            }
            _ => Ok(None),
        }
    }
}
