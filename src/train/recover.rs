//! A run that outlives its device.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;

use super::checkpoint;
use super::config::Config;
use super::event::{Command, Event};
use super::session::Session;

/// A device that is lost this often is not worth opening again.
const MAX_LOSSES: usize = 3;

/// Trains to the end, or until `listen` answers [`Command::Stop`]. A lost device is reported as a warning and opened
/// again with `open`, and the run goes on from its last checkpoint, or from the beginning if there is none yet; either way
/// the result is that of a run without the loss. Returns the device used last.
///
/// # Errors
/// As [`Session::new`] and [`Session::run`]; those of a device that is lost for the fourth time too.
pub async fn run(
    open: impl AsyncFn() -> Result<Arc<Gpu>>,
    config: &Config,
    out: &Path,
    mut resume: bool,
    listen: &mut dyn FnMut(&Event) -> Command,
) -> Result<Arc<Gpu>> {
    let mut losses = 0;
    loop {
        let gpu = open().await?;
        let result = async {
            let mut session = Session::new(&gpu, config.clone(), out, resume).await?;
            session.run(listen).await
        };
        match result.await {
            Err(error) if gpu.is_lost() && losses < MAX_LOSSES => {
                losses += 1;
                resume = checkpoint::any(out);
                let from = if resume { "its last checkpoint" } else { "the beginning" };
                listen(&Event::Warning {
                    text: format!("{error}; opening it again and going on from {from}"),
                });
            }
            other => return other.map(|()| gpu),
        }
    }
}
