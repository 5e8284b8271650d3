//! Records clustering, losses and update on a tape.

use crate::error::{Error, Result};
use crate::ops::{self, Sinkhorn};
use crate::tape::{Tape, ValueId};

use super::options::{Cluster, UpdateAssign, UpdatePixels};

/// Where the noise of [`UpdateAssign::Gumbel`] comes from.
#[derive(Clone, Copy, Debug)]
pub enum Noise {
    /// A value `[N,K]` of standard Gumbel numbers.
    Given(ValueId),
    /// Drawn on the device from this seed and the content of `step`.
    Drawn {
        /// Seed of the run.
        seed: u32,
        /// The training step, `u32 [1]`.
        step: ValueId,
    },
}

/// What the clustering of a batch gives.
#[derive(Clone, Copy, Debug)]
pub struct Clustering {
    /// Labels at feature resolution, `i32 [N]`, -1 = ignored.
    pub gt: ValueId,
    /// Similarity to the prototypes of the own class, `[N,K]`.
    pub own: ValueId,
    /// Pixels grouped by class, `u32 [N]`, ignored ones last.
    pub order: ValueId,
    /// Where each class begins in `order`, `u32 [C+1]`.
    pub offsets: ValueId,
    /// Soft assignment, `[N,K]`.
    pub q: ValueId,
    /// Hard assignment, `i32 [N]`, -1 = ignored.
    pub k: ValueId,
    /// Assignment for the update, `i32 [N]`; the same value as `k` unless noise is used.
    pub khat: ValueId,
    /// Row of the assigned prototype, `gt*K + k`, `i32 [N]`, -1 = ignored.
    pub target: ValueId,
}

/// Records the online clustering of the pixels `emb [N,D]` with labels `gt i32 [N]` onto the unit prototypes
/// `protos [C,K,D]` (spec section 5). No gradient flows through it. `noise` is read with [`UpdateAssign::Gumbel`] only.
///
/// # Errors
/// [`Error::Config`] if an option is out of range or noise is wanted and none given; [`Error::Shape`] if the shapes do not
/// go together.
pub fn cluster(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    gt: ValueId,
    options: &Cluster,
    noise: Option<Noise>,
) -> Result<Clustering> {
    options.validate()?;
    tape.scoped("cluster", |tape| {
        let num_classes = tape.value(protos).shape[0];
        let (order, offsets) = ops::group_by_class(tape, gt, num_classes)?;
        let own = ops::own_similarity(tape, emb, protos, gt, order)?;
        let rule =
            Sinkhorn { iterations: options.iterations, kappa: options.kappa, balance: options.balance };
        let (q, _) = ops::sinkhorn(tape, own, gt, (order, offsets), rule)?;
        let (k, target) = ops::assign(tape, q, own, gt, offsets, (options.small_class, options.balance))?;
        let khat = match (options.update_assign, noise) {
            (UpdateAssign::Argmax, _) => k,
            (UpdateAssign::Gumbel, Some(noise)) => {
                let noise = match noise {
                    Noise::Given(noise) => noise,
                    Noise::Drawn { seed, step } => {
                        let [pixels, protos] = tape.value(q).shape[..] else { unreachable!("q is [N,K]") };
                        ops::gumbel(tape, step, [pixels, protos], seed)?
                    }
                };
                ops::assign_noisy(tape, q, noise, gt, offsets, k, options.small_class)?
            }
            (UpdateAssign::Gumbel, None) => {
                let problem = "head.update_assign is \"gumbel\" and there is no source of noise";
                return Err(Error::config(problem, "give a seed and a step, or use \"argmax\""));
            }
        };
        Ok(Clustering { gt, own, order, offsets, q, k, khat, target })
    })
}

/// Records the contrast loss and the distance loss, `[1]` each, unweighted (spec section 6). Their gradients flow to `emb`.
/// `contrast [N]` is every pixel's contrast, if the matching has found it on its way.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn losses(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    clustering: &Clustering,
    options: &Cluster,
    contrast: Option<ValueId>,
) -> Result<(ValueId, ValueId)> {
    tape.scoped("losses", |tape| {
        let (target, empty) = (clustering.target, options.empty_loss);
        let ppc = match contrast {
            Some(contrast) => ops::valid_mean(tape, contrast, target, empty)?.0,
            None => ops::ppc(tape, emb, protos, target, options.tau, empty)?,
        };
        let ppd = ops::ppd(tape, emb, protos, clustering.target, options.empty_loss)?;
        Ok((tape.name(ppc, "loss_ppc"), tape.name(ppd, "loss_ppd")))
    })
}

/// Records the update of `protos` in place (spec section 7) and returns how many pixels moved each, `u32 [C,K]`.
/// `predicted u32 [N]` is the class at feature resolution, read with [`UpdatePixels::Correct`] only. Record it after the
/// reverse pass, whose nodes read the old prototypes.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn update(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    predicted: ValueId,
    clustering: &Clustering,
    options: &Cluster,
) -> Result<ValueId> {
    tape.scoped("update", |tape| {
        let predicted = (options.update_pixels == UpdatePixels::Correct).then_some(predicted);
        let sizes = [tape.value(protos).shape[0], tape.value(protos).shape[1]];
        let found = ops::prototype_sums(tape, emb, clustering.gt, clustering.khat, predicted, sizes)?;
        ops::prototype_update(tape, protos, found, options.mu)?;
        Ok(found.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Caps;
    use crate::tape::{DType, Keep, Program};

    /// Bytes of a whole step on the prototypes, and those of the prototypes alone.
    fn step_bytes(num_classes: usize) -> (u64, u64) {
        let (pixels, d, mut tape) = (38_400, 64, Tape::new());
        let emb = tape.input("emb", &[pixels, d], DType::F32);
        let protos = tape.state("prototypes", &[num_classes, 10, d], DType::F32);
        let gt = tape.input("gt", &[pixels], DType::I32);
        let predicted = tape.input("predicted", &[pixels], DType::U32);
        let options = Cluster::default();
        ops::prototype_normalise(&mut tape, protos).expect("a rule");
        let clustering = cluster(&mut tape, emb, protos, gt, &options, None).expect("shapes fit");
        let (ppc, ppd) = losses(&mut tape, emb, protos, &clustering, &options, None).expect("shapes fit");
        let total = ops::add(&mut tape, ppc, ppd, 0.1).expect("shapes fit");
        let gradient = ops::backward(&mut tape, total, &[emb]).expect("rules")[0].expect("a gradient");
        update(&mut tape, emb, protos, predicted, &clustering, &options).expect("shapes fit");
        let program = Program::new(&tape, &Caps::floor(), Keep::Only(&[total, gradient]));
        (program.bytes(), tape.value(protos).bytes())
    }

    #[test]
    fn memory_grows_with_the_prototypes_alone() {
        let ((few, small), (many, large)) = (step_bytes(19), step_bytes(847));
        let bound = 3 * (large - small);
        assert!(many - few < bound, "{} bytes more, at most {bound} expected", many - few);
    }

    #[test]
    fn gumbel_without_noise_is_refused() {
        let mut tape = Tape::new();
        let emb = tape.input("emb", &[6, 5], DType::F32);
        let protos = tape.input("protos", &[2, 3, 5], DType::F32);
        let gt = tape.input("gt", &[6], DType::I32);
        let options = Cluster { update_assign: UpdateAssign::Gumbel, ..Cluster::default() };
        assert!(cluster(&mut tape, emb, protos, gt, &options, None).is_err());
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let mut tape = Tape::new();
        let emb = tape.input("emb", &[6, 5], DType::F32);
        let protos = tape.input("protos", &[2, 3, 7], DType::F32);
        let gt = tape.input("gt", &[6], DType::I32);
        let error = cluster(&mut tape, emb, protos, gt, &Cluster::default(), None).expect_err("5 against 7");
        assert!(error.to_string().contains("[6, 5]") && error.to_string().contains("[2, 3, 7]"), "{error}");
    }
}
