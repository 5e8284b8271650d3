//! Predictions and scores: a model and an image in, classes, prototypes and confidences out.

pub mod boundary;
mod ensemble;
mod evaluate;
mod inspect;
mod metrics;
mod predict;
mod tensors;
mod window;

pub use boundary::{BOUNDARY_TOLERANCE, BoundaryF};
pub use ensemble::{Ensemble, SCALES};
pub use evaluate::{Evaluated, Evaluation, evaluate, evaluate_ensemble};
pub use inspect::{Inspector, Maps};
pub use metrics::{ClassScore, Confusion, Mistake, Scores};
pub use predict::{Model, Prediction, Predictor, record_inference};
#[cfg(not(target_family = "wasm"))]
pub(crate) use predict::{Recorded, record};
