//! Taking turns: long work on a device that a window is drawn with at the same time.
//!
//! A queue does one thing after the other, so a picture that is submitted behind a training step waits for all of it. On
//! a shared device long work therefore goes in pieces of a few milliseconds, each submitted when the one before is done,
//! and nothing waits in a call that keeps others from submitting.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use web_time::Instant;

use crate::error::Result;

use super::device::Gpu;
use super::pipeline::Commands;
use super::promise::promise;

/// Time that one piece of long work should take on the device, in microseconds: half a frame at 60 per second.
const PIECE_US: u32 = 8_000;

/// What a dispatch that has not run yet is taken for. Natively its kernel may be compiled now, so it goes alone; a browser
/// compiles when the pipeline is made, and waiting for each one of many is what costs there.
const UNKNOWN_US: u32 = if cfg!(target_arch = "wasm32") { PIECE_US / 8 } else { u32::MAX };

/// How long to sleep before asking again whether a piece is done.
const PAUSE: Duration = Duration::from_micros(300);

impl Gpu {
    /// From here on a window is drawn with this device, so long work leaves it turns.
    pub fn share(&self) {
        self.shared.store(true, Ordering::Release);
    }

    /// Whether [`Gpu::share`] was called.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Acquire)
    }

    /// Dispatches done and all, of a command list that runs in turns for the first time: most drivers compile kernels then.
    #[must_use]
    pub fn first_run(&self) -> Option<[u32; 2]> {
        *self.first_run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_first_run(&self, progress: Option<[u32; 2]>) {
        *self.first_run.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// What `pending` gives, which a callback of the device resolves. Natively the device is asked again and again, because
    /// a wait inside the driver would keep the window's thread from submitting; in a browser callbacks come by themselves.
    pub(super) async fn poll_until<T>(&self, pending: impl Future<Output = T>) -> Result<T> {
        let mut pending = pin!(pending);
        if !cfg!(target_arch = "wasm32") {
            let mut context = Context::from_waker(Waker::noop());
            while !self.is_lost() {
                self.guarded(|| self.device.poll(wgpu::PollType::Poll));
                if let Poll::Ready(value) = pending.as_mut().poll(&mut context) {
                    return Ok(value);
                }
                std::thread::sleep(PAUSE);
            }
            self.check()?;
        }
        Ok(pending.await)
    }

    /// Resolves when everything submitted so far is done.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device reported trouble.
    pub async fn done(&self) -> Result<()> {
        if !self.is_shared() && !cfg!(target_arch = "wasm32") {
            return self.wait();
        }
        let (sender, receiver) = promise();
        self.queue.on_submitted_work_done(move || sender.send(()));
        self.poll_until(receiver).await?;
        self.check()
    }

    /// Lets callbacks of work that is done run, without waiting.
    pub fn poll(&self) {
        if !cfg!(target_arch = "wasm32") {
            self.guarded(|| self.device.poll(wgpu::PollType::Poll));
        }
    }
}

/// How long each dispatch of a command list takes on this device, as far as known.
#[derive(Debug)]
pub(super) struct Durations(Vec<AtomicU32>);

impl Durations {
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU32::new(u32::MAX)).collect())
    }

    fn is_unknown(&self, index: usize) -> bool {
        self.0[index].load(Ordering::Relaxed) == u32::MAX
    }

    /// The next piece from `first` on: as many dispatches as fit its time; one alone whose time is not known.
    fn piece(&self, first: usize, end: usize) -> Range<usize> {
        let mut total = 0u32;
        let mut last = first;
        while last < end {
            let known = self.0[last].load(Ordering::Relaxed);
            total = total.saturating_add(if known == u32::MAX { UNKNOWN_US } else { known });
            if total > PIECE_US {
                break;
            }
            last += 1;
        }
        first..last.max(first + 1)
    }

    /// Takes note of a piece that took `seconds`: a dispatch that ran alone keeps the shortest of its times, in which the
    /// least of others' work is; those that ran together for the first time share theirs.
    fn note(&self, piece: &Range<usize>, seconds: f64) {
        let us = (seconds * 1e6 / piece.len() as f64).min(f64::from(u32::MAX - 1)) as u32;
        let unknown = |time: &&AtomicU32| piece.len() == 1 || time.load(Ordering::Relaxed) == u32::MAX;
        for time in self.0[piece.clone()].iter().filter(unknown) {
            time.fetch_min(us, Ordering::Relaxed);
        }
    }
}

impl Commands {
    /// Runs the dispatches with these indices to their end, in pieces that leave others turns.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device reported trouble.
    pub async fn run_in_turns(&self, part: Range<usize>) -> Result<()> {
        let mut first = part.start;
        while first < part.end {
            let piece = self.durations.piece(first, part.end);
            if self.durations.is_unknown(first) {
                self.gpu().tell_first_run(Some([first as u32, part.end as u32]));
            }
            first = piece.end;
            let start = Instant::now();
            self.run_part(piece.clone());
            let done = self.gpu().done().await;
            self.gpu().tell_first_run(None);
            done?;
            self.durations.note(&piece, start.elapsed().as_secs_f64());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_once_the_times_are_known() {
        let durations = Durations::new(5);
        assert!(durations.is_unknown(0));
        assert_eq!(durations.piece(0, 5), 0..1, "an unknown one goes alone");
        for (index, seconds) in [0.003, 0.004, 0.002, 0.050, 0.001].into_iter().enumerate() {
            durations.note(&(index..index + 1), seconds);
        }
        assert_eq!(durations.piece(0, 5), 0..2);
        assert_eq!(durations.piece(2, 5), 2..3, "what fits before a long one");
        assert_eq!(durations.piece(3, 5), 3..4, "a long one goes alone");
        assert_eq!(durations.piece(4, 5), 4..5);
        durations.note(&(3..4), 0.004);
        durations.note(&(0..3), 9.0);
        assert_eq!(durations.piece(2, 5), 2..5, "the shortest time counts");
    }
}
