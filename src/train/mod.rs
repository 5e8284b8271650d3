//! The training loop: configuration in, events out.

mod checkpoint;
mod config;
mod event;
mod recover;
mod session;
mod trace;

pub use config::{Config, DataConfig, TrainConfig};
pub use event::{Command, Event, PrototypeCosines};
pub use recover::run;
pub use session::Session;
