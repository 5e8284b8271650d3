//! The prototypes: where they start, online clustering of each class's pixels, the two losses that shape the embedding,
//! the update, and the prototypes' health. Spec sections 5 to 7; the class logits belong to the head.
//!
//! ```text
//! normalise(protos) -> cluster(emb, protos, gt) -> losses -> backward -> update(protos)
//! ```
//!
//! Losses and their gradients read the prototypes of before the step, and [`update`] overwrites them in place: record it
//! after the reverse pass.

mod collapse;
mod health;
mod kmeans;
mod options;
mod record;
mod samples;

pub use crate::ops::{Balance, EmptyLoss, SmallClass, prototype_normalise as normalise, sample_labels};
pub use collapse::{Circumstances, CollapseWatch, DRAWN_TOGETHER, ONE_EFFECTIVE, SAME_COSINE};
pub use health::{ClassHealth, TWIN_COSINE, health};
pub use options::{Cluster, Profile, PrototypeInit, UpdateAssign, UpdatePixels};
pub use record::{Clustering, Noise, cluster, losses, update};
pub use samples::{ClassSamples, Moved};
