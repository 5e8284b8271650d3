//! What happens between two steps without a change to the run: a look at the model as it is, and a pause.

use std::future::Future;
use std::pin::Pin;

use web_time::{Duration, Instant};

use crate::error::Result;
use crate::model::{ModelSpec, Phase};
use crate::pause;
use crate::tape::Store;

use super::event::{Event, Listener};
use super::session::Session;

/// How long a paused run sleeps before it asks again.
const NAP: Duration = Duration::from_millis(50);

/// What [`Watcher::look`] resolves to.
pub type Looking<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Looks at the model of a run between its steps, to show it while it learns. The run is the same with and without one; the time
/// that it takes is the run's.
pub trait Watcher {
    /// Whether it is time for a look; asked after every step, and again and again in a pause.
    fn wants(&mut self, step: u64) -> bool;

    /// Looks at the model after `step` steps. `store` holds the weights as they are evaluated and saved; what the watcher computes
    /// from them must go elsewhere.
    fn look<'a>(&'a mut self, step: u64, spec: &'a ModelSpec, store: &'a mut Store) -> Looking<'a>;
}

impl Session {
    /// Lets `watcher` look if it wants to.
    pub(super) async fn show(&mut self, step: u64, watcher: &mut Option<&mut dyn Watcher>) -> Result<()> {
        let Some(watcher) = watcher.as_deref_mut() else { return Ok(()) };
        if !watcher.wants(step) {
            return Ok(());
        }
        if self.averages() {
            let weights = self.record(Phase::Main)?.weights.of_model();
            self.take_averages(&weights)?;
        }
        let store = if self.averages() { &mut self.averaged } else { &mut self.store };
        watcher.look(step, &self.spec, store).await;
        Ok(())
    }

    /// Waits while the answer is to pause; returns for how long.
    pub(super) async fn pause(
        &mut self,
        step: u64,
        listener: &mut Listener<'_>,
        watcher: &mut Option<&mut dyn Watcher>,
    ) -> Result<Duration> {
        if !listener.wants_pause() {
            return Ok(Duration::ZERO);
        }
        // The step that was submitted is work, not pause.
        self.gpu.done().await?;
        let start = Instant::now();
        while listener.wants_pause() {
            self.show(step, watcher).await?;
            pause::sleep(NAP).await;
            listener.tell(&Event::Paused { step });
        }
        Ok(start.elapsed())
    }
}
