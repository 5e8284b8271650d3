//! A model: backbone, neck, embedding, prototypes; what is needed to record it, to train it and to save it.

mod auxiliary;
mod average;
mod descent;
mod embed_step;
mod export;
mod extras;
mod feature_step;
mod file;
mod objective;
mod optimiser;
mod record;
mod size;
mod spec;
mod step;

pub use average::{average_name, averaged_weight};
pub use descent::{StepCost, Update, is_gradient_sum};
pub use embed_step::EmbedStep;
pub use export::{Part, Precision, export_model, refuse_itself};
pub use extras::Extras;
pub use feature_step::FeatureStep;
pub use file::{load_backbone, load_model, read_spec, save_model, write_model};
pub use objective::{Losses, Objective, Phase, Supervision, record_objective};
pub use optimiser::{Optimiser, is_optimiser_state};
pub use record::{HeadSizes, Network, PROTOTYPES, record_head, record_network};
pub use size::ClassifierSize;
pub use spec::{ModelSpec, NetOptions, Provenance, usual_normalisation};
pub use step::{Recompute, TrainOptions, TrainStep};
