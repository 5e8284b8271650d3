//! The prototype head: what the paper puts on top of a feature map, recorded from operations; and its two rivals.

mod classify;
mod embed;
mod kind;
mod options;
mod rivals;

pub use classify::{
    ClassLogit, Classifier, CrossEntropy, KEPT_CLASSES, Prediction, Scores, TILE_CLASSES, Targets, Tile,
    tiles,
};
pub use embed::{Embedded, LAYER_NORM_EPS, embed};
pub use kind::HeadKind;
pub use options::{HeadConfig, HeadOptions, LogitKind, ProjNorm};
pub use rivals::{CLASSIFIER, QUERY, query_vectors, softmax_vectors};
