//! The forward pass of a training batch as far as its embeddings.

use crate::error::Result;
use crate::gpu::Caps;
use crate::nn::{Builder, Mode};
use crate::ops;
use crate::tape::{DType, Keep, Program, Tape, ValueId};

use super::record::record_network;
use super::spec::ModelSpec;
use super::step::TrainOptions;

/// What a training step would compute of a batch, up to the embeddings and the labels beside them. It changes no weight,
/// no running statistic and no prototype, and drops nothing.
pub struct EmbedStep {
    /// The tape.
    pub tape: Tape,
    /// Images `[B,H,W,3]`, normalised.
    pub image: ValueId,
    /// Labels `[B,H,W]`, -1 = ignored.
    pub labels: ValueId,
    /// Unit embeddings `[N,D]`.
    pub emb: ValueId,
    /// Labels at feature resolution, `i32 [N]`, -1 = ignored.
    pub gt: ValueId,
}

impl EmbedStep {
    /// Records the pass for batches of the training step's size.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record(spec: &ModelSpec, o: &TrainOptions) -> Result<Self> {
        let mut tape = Tape::new();
        let image = tape.input("image", &[o.batch, o.height, o.width, 3], DType::F32);
        let labels = tape.input("labels", &[o.batch, o.height, o.width], DType::I32);
        // Read by dropout alone, which this pass does not have.
        let step = tape.input("step", &[1], DType::U32);
        let mut b = Builder::new(&mut tape, Mode::Probe);
        b.freeze = o.extras.freeze;
        let net = record_network(&mut b, spec, image, step, o.seed, false)?;
        let [_, height, width] = net.size;
        let gt = ops::sample_labels(&mut tape, labels, [height, width], spec.num_classes())?;
        Ok(Self { tape, image, labels, emb: net.embedded.emb, gt })
    }

    /// The values that are read after a run.
    #[must_use]
    pub const fn kept(&self) -> [ValueId; 2] {
        [self.emb, self.gt]
    }

    /// The pass lowered for `caps`.
    #[must_use]
    pub fn program(&self, caps: &Caps) -> Program {
        Program::new(&self.tape, caps, Keep::Only(&self.kept()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Classes, Normalisation};
    use crate::head::HeadOptions;
    use crate::model::{Extras, NetOptions, Optimiser, Provenance, Recompute, TrainStep};
    use crate::proto::Profile;

    #[test]
    fn it_leaves_the_store_as_it_is_and_takes_less_than_a_step() {
        let spec = ModelSpec {
            net: NetOptions::default(),
            head: HeadOptions::profile(Profile::Rec),
            classes: Classes::parse(r#"{"classes": [{"id": 0, "name": "a"}]}"#).expect("valid classes"),
            normalisation: Normalisation::default(),
            provenance: Provenance::default(),
        };
        let options = TrainOptions {
            batch: 2,
            height: 64,
            width: 96,
            optimiser: Optimiser::Sgd { momentum: 0.9 },
            weight_decay: 0.0,
            decay_norms: true,
            backbone_lr: 1.0,
            extras: Extras::default(),
            seed: 0,
            recompute: Recompute::Never,
            max_bytes: None,
        };
        let pass = EmbedStep::record(&spec, &options).expect("recorded");
        let writes = pass.tape.nodes().iter().flat_map(|node| &node.outputs);
        assert_eq!(writes.filter(|&&id| pass.tape.value(pass.tape.root(id)).is_stored()).count(), 0);
        let (_, step) =
            TrainStep::plan(&spec, &options, crate::model::Phase::Main, &Caps::floor()).expect("planned");
        assert!(pass.program(&Caps::floor()).bytes() < step.bytes());
    }
}
