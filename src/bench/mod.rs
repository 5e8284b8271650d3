//! Measurements: what the adapter can do at best ([`peak`]), how long a plan takes ([`time()`]), and the workloads that are
//! measured ([`Job`]): every operation of the op table at realistic sizes, and pieces of real work by name.
//!
//! Times mean something beside others of the same run only: machines are shared and clocks change.

mod clock;
mod head;
mod job;
mod network;
pub mod peak;
mod time;
mod vocabulary;
mod work;

pub use head::{HeadSize, head_inference, head_training};
pub use job::{Bound, Direction, Job};
pub use network::{inference, training};
pub use time::{Timing, time};
pub use vocabulary::{CLASSES, HeadNumbers};
pub use work::{Work, works};
