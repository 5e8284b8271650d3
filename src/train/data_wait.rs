//! How much of a run its device spends waiting for images.

use web_time::{Duration, Instant};

use super::event::MAX_DATA_WAIT;

/// Shorter intervals between two log lines say little: one image that is decoded for the first time is enough.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// Time waited since the last log line.
#[derive(Default)]
pub(super) struct DataWait {
    waited: Duration,
    /// The first batch of a loader is always waited for.
    begun: bool,
    warned: bool,
}

impl DataWait {
    /// Runs `next`, during which the device has nothing to do.
    pub(super) fn during<T>(&mut self, next: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = next();
        if std::mem::replace(&mut self.begun, true) {
            self.waited += start.elapsed();
        }
        out
    }

    /// The share of `interval`, the time since the last line, and what to warn of, once per run; begins the next interval.
    pub(super) fn share(&mut self, interval: Duration) -> (f64, Option<String>) {
        let waited = std::mem::take(&mut self.waited);
        let share = waited.as_secs_f64() / interval.as_secs_f64().max(1e-9);
        let warns = share > MAX_DATA_WAIT
            && interval >= MIN_INTERVAL
            && !self.warned
            && !cfg!(target_arch = "wasm32");
        self.warned |= warns;
        let text = || {
            format!(
                "the device waits for images {:.0} % of the time: raise train.threads, switch augmentations such as \
                 augment.blur and augment.rotate off, or store smaller images",
                100.0 * share
            )
        };
        (share, warns.then(text))
    }

    /// Forgets what was waited: the time since then is in no interval.
    pub(super) fn reset(&mut self) {
        self.waited = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_a_share_of_the_interval_and_warned_of_once() {
        let mut wait = DataWait::default();
        let nap = || std::thread::sleep(Duration::from_millis(30));
        wait.during(nap);
        assert_eq!(wait.share(Duration::from_secs(10)), (0.0, None));
        assert_eq!(wait.during(|| 3), 3);
        wait.during(nap);
        let (share, warning) = wait.share(Duration::from_millis(40));
        assert!(share >= 0.75 && warning.is_none(), "{share}");
        wait.waited = Duration::from_secs(1);
        assert!(wait.share(Duration::from_secs(10)).1.is_some_and(|text| text.contains("10 %")));
        wait.waited = Duration::from_secs(1);
        assert_eq!(wait.share(Duration::from_secs(10)), (0.1, None));
        wait.waited = Duration::from_secs(1);
        wait.reset();
        assert_eq!(wait.share(Duration::from_secs(10)), (0.0, None));
    }
}
