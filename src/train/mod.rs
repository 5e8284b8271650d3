//! The training loop: configuration in, events out.

mod checkpoint;
mod config;
mod event;
mod session;

pub use config::{Config, DataConfig, TrainConfig};
pub use event::{Command, Event, PrototypeCosines};
pub use session::Session;
