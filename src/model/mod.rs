//! A model: backbone, neck, embedding, prototypes; what is needed to record it, to train it and to save it.

mod file;
mod record;
mod spec;
mod step;

pub use file::{load_backbone, load_model, read_spec, save_model};
pub use record::{Network, PROTOTYPES, record_network};
pub use spec::{ModelSpec, NetOptions, Provenance};
pub use step::{Losses, Phase, TrainOptions, TrainStep, VELOCITY};
