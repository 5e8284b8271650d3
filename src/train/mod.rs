//! The training loop: configuration in, events out.

mod checkpoint;
mod config;
mod event;
mod log;
mod prototypes;
mod recover;
mod session;
mod trace;

pub use config::{Config, DataConfig, TrainConfig};
pub use event::{Command, Event, PrototypeCosines, SetPrototypes};
pub use log::Log;
pub use recover::run;
pub use session::Session;
