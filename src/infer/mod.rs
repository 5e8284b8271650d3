//! Predictions and scores: a model and an image in, classes, prototypes and confidences out.

mod ensemble;
mod evaluate;
mod metrics;
mod predict;
mod window;

pub use ensemble::Ensemble;
pub use evaluate::{evaluate, evaluate_ensemble};
pub use metrics::{ClassScore, Confusion, Scores};
pub use predict::{Model, Prediction, Predictor, record_inference};
