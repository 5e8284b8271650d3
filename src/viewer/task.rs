//! Work beside the window: futures on threads of their own, and where they are told what to do.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs `future` to its end beside the window, in the browser's own loop.
#[cfg(target_arch = "wasm32")]
pub fn spawn(_: &str, future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}

/// Runs `future` to its end beside the window.
#[cfg(not(target_arch = "wasm32"))]
pub fn spawn(name: &str, future: impl Future<Output = ()> + Send + 'static) {
    spawn_made(name, move || future);
}

/// As [`spawn`], for a future that must stay where it was made.
#[cfg(target_arch = "wasm32")]
pub fn spawn_made<F: Future<Output = ()> + 'static>(_: &str, make: impl FnOnce() -> F + 'static) {
    wasm_bindgen_futures::spawn_local(make());
}

/// As [`spawn`], for a future that must stay where it was made.
#[cfg(not(target_arch = "wasm32"))]
pub fn spawn_made<F: Future<Output = ()>>(name: &str, make: impl FnOnce() -> F + Send + 'static) {
    let run = move || pollster::block_on(make());
    // A thread is refused only where the system is out of them, and then nothing else works either.
    let _ = std::thread::Builder::new().name(name.to_owned()).spawn(run);
}

/// Jobs for a worker, in order; a newer one may take the place of an older that nobody has begun.
pub struct Mailbox<T> {
    jobs: Arc<Mutex<VecDeque<T>>>,
    signal: async_channel::Sender<()>,
}

/// The worker's end of a [`Mailbox`].
pub struct Inbox<T> {
    jobs: Arc<Mutex<VecDeque<T>>>,
    signal: async_channel::Receiver<()>,
}

/// A connected pair.
pub fn mailbox<T>() -> (Mailbox<T>, Inbox<T>) {
    let jobs = Arc::new(Mutex::new(VecDeque::new()));
    let (sender, receiver) = async_channel::unbounded();
    (Mailbox { jobs: Arc::clone(&jobs), signal: sender }, Inbox { jobs, signal: receiver })
}

impl<T> Mailbox<T> {
    /// Adds a job after dropping those waiting that `replaces` says it replaces.
    pub fn send(&self, job: T, replaces: impl Fn(&T) -> bool) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|waiting| !replaces(waiting));
        jobs.push_back(job);
        drop(jobs);
        let _ = self.signal.try_send(());
    }
}

impl<T> Inbox<T> {
    /// The next job; `None` once the mailbox is gone.
    pub async fn next(&self) -> Option<T> {
        loop {
            self.signal.recv().await.ok()?;
            // There are as many signals as there were jobs, of which some were replaced.
            let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if job.is_some() {
                return job;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_takes_the_place_of_what_nobody_began() {
        let (mailbox, inbox) = mailbox();
        for job in [(1, 'a'), (2, 'b'), (1, 'c'), (1, 'd')] {
            mailbox.send(job, |waiting| waiting.0 == job.0);
        }
        drop(mailbox);
        let next = || pollster::block_on(inbox.next());
        assert_eq!([next(), next(), next()], [Some((2, 'b')), Some((1, 'd')), None]);
    }
}
