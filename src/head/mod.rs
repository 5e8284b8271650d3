//! The prototype head: what the paper puts on top of a feature map, recorded from operations.

pub mod classify;

pub use classify::{ClassLogit, Classifier, CrossEntropy, Prediction, Scores, Targets, Tile, tiles};
