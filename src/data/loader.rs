//! Training batches, made ahead of time on other threads.
//!
//! The batch of step t is a function of the data, the settings, the seed and t alone, so neither the number
//! of threads nor a restart changes what is trained on. Threads take the next step that nobody has taken, at most a few
//! ahead of what was delivered; batches are delivered in the order of the steps.

mod recipe;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::data::augment::AugmentSettings;
use crate::data::batch::{Batch, Normalisation};
use crate::data::dataset::Dataset;
use crate::error::{Error, Result};
use recipe::Recipe;

/// Batches that may wait beyond those being made; one is enough to hide a slow image, more only cost memory.
const NUM_WAITING: u64 = 2;

/// Batches begun and not delivered hold at most this much memory, however many threads there are; two are always let.
const MAX_WAITING_BYTES: u64 = 2 << 30;
/// Four floats of colour and one label.
const BYTES_PER_PIXEL: usize = 20;

/// How batches are made.
#[derive(Clone, Debug)]
pub struct LoaderSettings {
    /// How images are varied; also the size of the crops.
    pub augment: AugmentSettings,
    /// How network inputs are made of colours.
    pub normalisation: Normalisation,
    /// Images per batch.
    pub batch: usize,
    /// What all draws depend on.
    pub seed: u32,
    /// The step of the first batch: 0, or where a resumed run continues.
    pub first_step: u64,
    /// Worker threads; the batches do not depend on it.
    pub num_threads: usize,
}

/// An endless, reproducible sequence of training batches. Dropping it stops its threads.
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    recipe: Recipe,
    /// How far ahead of the next delivery a step may be begun.
    ahead: u64,
    queue: Mutex<Queue>,
    /// Signalled when a delivery made room, or on stopping.
    room: Condvar,
    /// Signalled when a batch was finished.
    finished: Condvar,
}

struct Queue {
    /// The step that the next free thread begins.
    next_begin: u64,
    /// The step that the caller gets next.
    next_delivery: u64,
    /// Finished and not delivered; the outer error is a panic of ours, carried over to the caller's thread.
    finished: BTreeMap<u64, std::thread::Result<Result<Batch>>>,
    stopping: bool,
}

impl Loader {
    /// Starts the threads, which begin with the batch of `settings.first_step` at once.
    ///
    /// # Errors
    /// [`Error::Config`] where a setting cannot be used; [`Error::Io`] where the system gives no thread.
    pub fn new(dataset: Arc<Dataset>, settings: LoaderSettings) -> Result<Self> {
        settings.augment.validate()?;
        settings.normalisation.validate()?;
        for (key, value, most) in [("batch", settings.batch, 4096), ("threads", settings.num_threads, 256)] {
            if !(1..=most).contains(&value) {
                return Err(Error::config(
                    format!("train.{key} is {value}"),
                    format!("choose a number from 1 to {most}"),
                ));
            }
        }
        let (first_step, num_threads) = (settings.first_step, settings.num_threads);
        let root = dataset.root().to_path_buf();
        let pixels = settings.batch * settings.augment.crop_height * settings.augment.crop_width;
        let most = (MAX_WAITING_BYTES / (pixels * BYTES_PER_PIXEL) as u64).max(NUM_WAITING);
        let ahead = (num_threads as u64 + NUM_WAITING).min(most);
        let queue = Queue {
            next_begin: first_step,
            next_delivery: first_step,
            finished: BTreeMap::new(),
            stopping: false,
        };
        let shared = Arc::new(Shared {
            recipe: Recipe::new(dataset, settings),
            ahead,
            queue: Mutex::new(queue),
            room: Condvar::new(),
            finished: Condvar::new(),
        });
        // Built first, so that the threads already started are stopped where a later one cannot be.
        let mut loader = Self { shared, threads: Vec::with_capacity(num_threads) };
        // In a browser the caller makes the batches.
        let num_threads = if cfg!(target_arch = "wasm32") { 0 } else { num_threads };
        for number in 0..num_threads {
            let shared = Arc::clone(&loader.shared);
            let builder = std::thread::Builder::new().name(format!("loader-{number}"));
            let thread = builder.spawn(move || shared.work());
            loader.threads.push(thread.map_err(|e| Error::io("start a thread that reads", &root, e))?);
        }
        Ok(loader)
    }

    /// The batch of the next step; waits until it is made.
    ///
    /// # Errors
    /// What reading one of its files gave, with the file's name. The call after that gives the step after that.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let mut queue = self.shared.lock();
        let step = queue.next_delivery;
        if self.threads.is_empty() {
            queue.next_delivery += 1;
            drop(queue);
            return self.shared.recipe.batch(step);
        }
        let outcome = loop {
            if let Some(outcome) = queue.finished.remove(&step) {
                break outcome;
            }
            queue = self.shared.finished.wait(queue).expect(NEVER_POISONED);
        };
        queue.next_delivery += 1;
        drop(queue);
        self.shared.room.notify_one();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

const NEVER_POISONED: &str = "no code that can panic runs under the queue's lock";

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect(NEVER_POISONED)
    }

    /// What each thread does until the loader is dropped.
    fn work(&self) {
        while let Some(step) = self.begin() {
            // The recipe is only read; a panic leaves nothing half done in it.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.recipe.batch(step)));
            self.lock().finished.insert(step, outcome);
            self.finished.notify_one();
        }
    }

    /// The next step to be made, once there is room for it; `None` on stopping.
    fn begin(&self) -> Option<u64> {
        let full =
            |queue: &mut Queue| !queue.stopping && queue.next_begin >= queue.next_delivery + self.ahead;
        let mut queue = self.room.wait_while(self.lock(), full).expect(NEVER_POISONED);
        let step = queue.next_begin;
        queue.next_begin += 1;
        (!queue.stopping).then_some(step)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of the thread was already carried over by `next_batch`, or nobody asked for that batch.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
