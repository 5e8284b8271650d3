//! A model: backbone, neck, embedding, prototypes; what is needed to record it, to train it and to save it.

mod embed_step;
mod file;
mod objective;
mod optimiser;
mod record;
mod size;
mod spec;
mod step;

pub use embed_step::EmbedStep;
pub use file::{load_backbone, load_model, read_spec, save_model};
pub use objective::{Losses, Objective, Phase, Supervision, record_objective};
pub use optimiser::{Optimiser, is_optimiser_state};
pub use record::{HeadSizes, Network, PROTOTYPES, record_head, record_network};
pub use size::ClassifierSize;
pub use spec::{ModelSpec, NetOptions, Provenance};
pub use step::{Recompute, TrainOptions, TrainStep};
