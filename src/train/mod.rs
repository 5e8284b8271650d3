//! The training loop: configuration in, events out.

mod checkpoint;
mod config;
mod event;
mod first_prototypes;
mod log;
mod recover;
mod session;
mod trace;

pub use config::{Config, DataConfig, TrainConfig};
pub use event::{Command, Event, PrototypeCosines, PrototypeStart};
pub use log::Log;
pub use recover::run;
pub use session::Session;
