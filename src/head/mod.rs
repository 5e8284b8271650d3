//! The prototype head: what the paper puts on top of a feature map, recorded from operations.

mod classify;
mod embed;
mod options;

pub use classify::{
    ClassLogit, Classifier, CrossEntropy, KEPT_CLASSES, Prediction, Scores, TILE_CLASSES, Targets, Tile,
    tiles,
};
pub use embed::{Embedded, LAYER_NORM_EPS, embed};
pub use options::{HeadConfig, HeadOptions, LogitKind, ProjNorm};
