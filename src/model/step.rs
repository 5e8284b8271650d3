//! One training step as a tape (spec section 8).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::gpu::Caps;
use crate::nn::{Builder, Mode, Weights};
use crate::ops;
use crate::proto::Noise;
use crate::rng;
use crate::tape::{DType, Keep, Program, Tape, Value, ValueId};

use super::auxiliary::record_auxiliary;
use super::descent::{StepCost, Update, record_descent};
use super::extras::Extras;
use super::objective::{Losses, Phase, Supervision, record_objective};
use super::optimiser::Optimiser;
use super::record::record_network;
use super::spec::ModelSpec;

/// Streams of the step's seed. Dropout and noise count steps and elements alike: of one seed they would draw the same bits.
const DROPOUT: u32 = 1;
const NOISE: u32 = 2;

/// Whether the reverse pass computes blocks of the backbone again instead of keeping what is inside them: less memory, the
/// same numbers, up to a third more work. In a configuration `true`, `false` or `"auto"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Never.
    Never,
    /// Always.
    Always,
    /// Where the step would take more memory than it may.
    #[default]
    Auto,
}

impl Serialize for Recompute {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_bool(false),
            Self::Always => serializer.serialize_bool(true),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Recompute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Words;
        impl serde::de::Visitor<'_> for Words {
            type Value = Recompute;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or \"auto\"")
            }

            fn visit_bool<E>(self, always: bool) -> std::result::Result<Recompute, E> {
                Ok(if always { Recompute::Always } else { Recompute::Never })
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> std::result::Result<Recompute, E> {
                match word {
                    "auto" => Ok(Recompute::Auto),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
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
    /// How gradients move weights.
    pub optimiser: Optimiser,
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether norms and biases decay too.
    pub decay_norms: bool,
    /// Learning rate of the backbone as a multiple of the head's.
    pub backbone_lr: f32,
    /// What the step does beside the plain one.
    pub extras: Extras,
    /// Seed that those of dropout and Gumbel noise are drawn from.
    pub seed: u32,
    /// Whether the reverse pass computes the backbone's blocks again.
    pub recompute: Recompute,
    /// Bytes on the device that a step may take, where that is known.
    pub max_bytes: Option<u64>,
}

/// A recorded step: forward, losses, reverse pass, optimiser, prototype update. Where a step has several micro-batches, the tape
/// is that of one of them and `update` follows the last.
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
    /// Number of the step, or of the micro-batch where a step has several, `[1]`.
    pub step: ValueId,
    /// Where a step has several micro-batches: 1 for the first of them and 0 for the others, `u32 [1]`.
    pub first: Option<ValueId>,
    /// The losses; their means over the micro-batches so far where a step has several.
    pub losses: Losses,
    /// Loss of the auxiliary head `[1]`, not weighted; likewise, and absent without such a head.
    pub aux: Option<ValueId>,
    /// Norm of all gradients together `[1]`, before it is bounded; absent without a bound, or in `update`.
    pub grad_norm: Option<ValueId>,
    /// What follows the last micro-batch, where a step has several.
    pub update: Option<Update>,
    /// How often the tape is run in one step.
    pub micro_batches: usize,
    /// Catalogue of weights and state.
    pub weights: Weights,
    /// Whether the reverse pass computes blocks of the backbone again.
    pub recomputed: bool,
}

impl TrainStep {
    /// Records the step and lowers it for `caps`, with blocks computed again where the options say so.
    ///
    /// # Errors
    /// Those of the shape rules; [`Error::Config`] if the step takes more than the bytes it may.
    pub fn plan(spec: &ModelSpec, o: &TrainOptions, phase: Phase, caps: &Caps) -> Result<(Self, Program)> {
        let planned = |again: bool| {
            let step = Self::record_with(spec, o, phase, again)?;
            let program = Program::new(&step.tape, caps, Keep::Only(&step.kept()));
            Ok::<_, Error>((step, program))
        };
        let bytes = |step: &Self, program: &Program| step.cost(program, caps).bytes;
        let above = |step: &Self, program: &Program| o.max_bytes.filter(|&most| bytes(step, program) > most);
        let (mut step, mut program) = planned(o.recompute == Recompute::Always)?;
        if o.recompute == Recompute::Auto && above(&step, &program).is_some() {
            (step, program) = planned(true)?;
        }
        let Some(most) = above(&step, &program) else { return Ok((step, program)) };
        let more = if o.recompute == Recompute::Never { "train.recompute = \"auto\", or " } else { "" };
        Err(Error::config(
            format!(
                "a step takes {} MiB and train.memory_mib is {}",
                bytes(&step, &program) >> 20,
                most >> 20
            ),
            format!("set {more}a smaller train.batch or crop"),
        ))
    }

    /// Records the step with every value kept until the reverse pass has read it.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record(spec: &ModelSpec, o: &TrainOptions, phase: Phase) -> Result<Self> {
        Self::record_with(spec, o, phase, false)
    }

    fn record_with(spec: &ModelSpec, o: &TrainOptions, phase: Phase, again: bool) -> Result<Self> {
        let mut tape = Tape::new();
        let image = tape.input("image", &[o.batch, o.height, o.width, 3], DType::F32);
        let labels = tape.input("labels", &[o.batch, o.height, o.width], DType::I32);
        let class_weights = tape.input("class weights", &[spec.num_classes()], DType::F32);
        let lr = tape.input("lr", &[1], DType::F32);
        let step = tape.input("step", &[1], DType::U32);
        let learnable = phase == Phase::WarmUp && spec.head.learns_prototypes();
        let mut b = Builder::new(&mut tape, Mode::Train);
        b.freeze = o.extras.freeze;
        let net = record_network(&mut b, spec, image, step, rng::bits(o.seed, DROPOUT, 0), learnable)?;
        let aux = if o.extras.aux_weight > 0.0 {
            Some(record_auxiliary(&mut b, [labels, class_weights], spec.head.empty_loss)?)
        } else {
            None
        };
        let weights = b.weights;
        let noise = Noise::Drawn { seed: rng::bits(o.seed, NOISE, 0), step };
        let supervision = Supervision { labels, class_weights, hard: o.extras.hard, noise };
        let objective = record_objective(&mut tape, &net, &spec.head, supervision, phase)?;
        let mut losses = objective.losses;
        if let Some(aux) = aux {
            losses.total = ops::add(&mut tape, losses.total, aux, o.extras.aux_weight)?;
        }
        let forward = tape.nodes().len();
        let numbers = [lr, step];
        let descent = record_descent(&mut tape, (losses, aux), &weights, numbers, spec.net.arch, o)?;
        objective.record_update(&mut tape, &net, &spec.head)?;
        if again {
            tape.recompute(forward);
        }
        Ok(Self {
            tape,
            image,
            labels,
            class_weights,
            lr,
            step,
            first: descent.first,
            losses: descent.losses,
            aux: descent.aux,
            grad_norm: descent.grad_norm,
            update: descent.update,
            micro_batches: o.extras.accumulate.max(1),
            weights,
            recomputed: again,
        })
    }

    /// Ids of what is read after a run.
    #[must_use]
    pub fn kept(&self) -> Vec<ValueId> {
        self.losses.all().into_iter().chain(self.aux).chain(self.grad_norm).collect()
    }

    /// What a whole step costs, `program` being this tape lowered for `caps`.
    #[must_use]
    pub fn cost(&self, program: &Program, caps: &Caps) -> StepCost {
        self.update.as_ref().map_or_else(
            || StepCost::of(program),
            |update| {
                let behind = (update, &update.program(caps));
                StepCost::with_update(&self.tape, program, self.micro_batches, behind)
            },
        )
    }

    /// Every value that lives in the store, once.
    #[must_use]
    pub fn stored(&self) -> Vec<Value> {
        let behind = self.update.iter().flat_map(|update| update.tape.values());
        let mut seen = std::collections::BTreeSet::new();
        let new = |v: &&Value| v.is_stored() && seen.insert(v.name.clone());
        self.tape.values().iter().chain(behind).filter(new).cloned().collect()
    }
}
