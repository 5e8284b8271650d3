//! What happens in a run: one stream for the progress bar, the log file and every other front end.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use crate::infer::Scores;

/// Above this share of the time a run that waits for images says so.
pub const MAX_DATA_WAIT: f64 = 0.05;

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run starts.
    Start {
        /// Adapter, backend and driver.
        adapter: String,
        /// First step to do; above 0 for a resumed run.
        first_step: u64,
        /// Steps in all.
        steps: u64,
        /// Images to train on and to evaluate on.
        images: [usize; 2],
    },
    /// The training step is planned.
    Plan {
        /// Bytes on the device.
        bytes: u64,
        /// Floating point operations per step.
        flops: u64,
        /// Dispatches per step.
        dispatches: usize,
        /// Whether blocks of the backbone are computed again in the reverse pass, to take less memory.
        recomputed: bool,
    },
    /// One more step was submitted; too frequent for the log.
    Tick {
        /// Steps submitted so far.
        step: u64,
    },
    /// The run waits, because the last answer was [`Command::Pause`]: told about 20 times a second until another answer comes, and
    /// too frequent for the log.
    Paused {
        /// Steps done so far.
        step: u64,
    },
    /// Steps were done.
    Step {
        /// Steps done so far.
        step: u64,
        /// Total loss.
        #[serde(deserialize_with = "loss")]
        loss: f32,
        /// Cross-entropy.
        #[serde(deserialize_with = "loss")]
        ce: f32,
        /// Pixel-prototype contrastive loss, not weighted; 0 in the warm-up and for a head without prototypes.
        #[serde(deserialize_with = "loss")]
        ppc: f32,
        /// Pixel-prototype distance loss, not weighted; 0 as the one before.
        #[serde(deserialize_with = "loss")]
        ppd: f32,
        /// Cross-entropy of the auxiliary head, not weighted; absent without one (`train.aux_weight`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aux: Option<f32>,
        /// Learning rate of the head.
        lr: f32,
        /// Norm of all gradients together before it was bounded; absent where it is not (`train.clip_norm`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grad_norm: Option<f32>,
        /// Images per second since the last line.
        images_per_sec: f64,
        /// Share of the time since the last line in which the device had nothing to do but to wait for images, a fraction. Logs of
        /// earlier versions do not have it.
        #[serde(default)]
        data_wait: Option<f64>,
    },
    /// The model was evaluated.
    Evaluation {
        /// Steps done so far.
        step: u64,
        /// Images evaluated.
        images: usize,
        /// The scores.
        #[serde(flatten)]
        scores: Scores,
        /// Whether this is the best mIoU so far.
        best: bool,
    },
    /// The prototypes were set to centres of their classes' pixels.
    PrototypesSet {
        /// The step, counted from 1, before which this was done: a run that is resumed from before that step does it again.
        step: u64,
        /// Batches whose pixels were used.
        batches: usize,
        /// Prototypes per class, K.
        of: usize,
        /// One entry per class.
        classes: Vec<SetPrototypes>,
    },
    /// Prototypes that no pixel of their class was nearest to, and twins, were looked for and moved onto pixels.
    PrototypesRevived {
        /// As for [`Event::PrototypesSet`].
        step: u64,
        /// Batches whose pixels were used.
        batches: usize,
        /// The classes of which some were moved.
        classes: Vec<SetPrototypes>,
    },
    /// How far apart the prototypes of each class are, and how many are in use; told after every evaluation of a model that has
    /// some.
    Prototypes {
        /// Steps done so far.
        step: u64,
        /// Mean over the classes of the mean cosine between two prototypes of one class.
        mean_cosine: f64,
        /// One entry per class.
        classes: Vec<ClassPrototypes>,
    },
    /// A model was saved.
    Saved {
        /// Steps done so far.
        step: u64,
        /// Where.
        path: PathBuf,
    },
    /// Something to look at that does not stop the run.
    Warning {
        /// In one sentence.
        text: String,
    },
    /// The run ended.
    Done {
        /// Steps done.
        step: u64,
        /// Best validation mIoU, a fraction.
        best_miou: f64,
        /// Wall time in seconds, since the run was started or resumed.
        seconds: f64,
    },
}

impl Event {
    /// Contrastive and distance loss of a step that has them.
    #[must_use]
    pub fn prototype_losses(&self) -> Option<[f32; 2]> {
        match *self {
            Self::Step { ppc, ppd, .. } if [ppc, ppd] != [0.0; 2] => Some([ppc, ppd]),
            _ => None,
        }
    }

    /// Steps done when it happened; `None` for what belongs to no step.
    #[must_use]
    pub const fn step(&self) -> Option<u64> {
        match self {
            Self::Start { first_step: step, .. }
            | Self::Tick { step }
            | Self::Paused { step }
            | Self::Step { step, .. }
            | Self::Evaluation { step, .. }
            | Self::PrototypesSet { step, .. }
            | Self::PrototypesRevived { step, .. }
            | Self::Prototypes { step, .. }
            | Self::Saved { step, .. }
            | Self::Done { step, .. } => Some(*step),
            Self::Plan { .. } | Self::Warning { .. } => None,
        }
    }
}

/// A loss in a log: JSON has no NaN, which a batch without a label may give, and its lines hold `null` instead.
fn loss<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f32::NAN))
}

/// Whoever listens to a run, whether one of the answers was to stop, and whether the last one was to pause.
pub(super) struct Listener<'a> {
    listen: &'a mut dyn FnMut(&Event) -> Command,
    stop: bool,
    pause: bool,
}

impl<'a> Listener<'a> {
    pub(super) fn new(listen: &'a mut dyn FnMut(&Event) -> Command) -> Self {
        Self { listen, stop: false, pause: false }
    }

    /// Tells `event`; an answer to stop is kept until the step is over.
    pub(super) fn tell(&mut self, event: &Event) {
        let command = (self.listen)(event);
        self.stop |= command == Command::Stop;
        self.pause = command == Command::Pause;
    }

    pub(super) const fn wants_stop(&self) -> bool {
        self.stop
    }

    pub(super) const fn wants_pause(&self) -> bool {
        self.pause && !self.stop
    }
}

/// The prototypes of one class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassPrototypes {
    /// Class name.
    pub name: String,
    /// Cosine of two prototypes, mean over the pairs.
    pub mean: f64,
    /// The closest pair's cosine; twins are above 0.98.
    pub max: f64,
    /// How many prototypes do the work in the evaluated images, 1..K: exp of the entropy of their shares of what is
    /// predicted as this class, at feature resolution; `None` where nothing is. Logs of earlier versions do not have it.
    #[serde(default)]
    pub effective: Option<f64>,
    /// These shares, `[K]`: all 0 where nothing is predicted as this class. Logs of earlier versions do not have them.
    #[serde(default)]
    pub usage: Vec<f64>,
}

/// The prototypes of one class that were set from pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPrototypes {
    /// Class name.
    pub name: String,
    /// Labelled pixels of the class that were looked at.
    pub pixels: u32,
    /// Prototypes that were set; the others are where they were.
    pub set: usize,
    /// Those of them that pixels were nearest to, but whose cosine to one that was used more was above `head.merge_cosine`.
    #[serde(default)]
    pub merged: usize,
}

/// What a front end answers an event with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Go on.
    Continue,
    /// Wait after this step until another answer comes; nothing of the run changes by it.
    Pause,
    /// Save a checkpoint and stop.
    Stop,
}
