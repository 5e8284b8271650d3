//! The training loop: configuration in, events out.

mod averages;
mod checkpoint;
mod config;
mod data_wait;
mod event;
pub mod fit;
mod log;
mod prepared;
mod prototypes;
mod recover;
mod session;
mod tensorboard;
mod trace;
mod watch;

pub use checkpoint::any as has_checkpoint;
pub use config::{Config, DataConfig, OptimiserKind, Schedule, TrainConfig};
pub use event::{ClassPrototypes, Command, Event, MAX_DATA_WAIT, SetPrototypes};
pub use log::Log;
pub use recover::run;
pub use session::Session;
pub use tensorboard::TensorBoard;
pub use watch::{Looking, Watcher};
