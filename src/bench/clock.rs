//! Processor time of this program.

/// Seconds that all threads of this program have spent on processors, where the system tells. A software adapter computes
/// in this program, so the time does not count what other programs take from it.
#[must_use]
pub fn cpu_secs() -> Option<f64> {
    #[cfg(unix)]
    {
        use nix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok()?;
        Some(time.tv_sec() as f64 + 1e-9 * time.tv_nsec() as f64)
    }
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::cpu_secs;

    #[test]
    fn work_takes_processor_time() {
        let before = cpu_secs().expect("a clock");
        let mut x = 1.0_f64;
        while cpu_secs().expect("a clock") < before + 0.01 {
            x = std::hint::black_box(x * 1.000_001);
        }
        assert!(x > 1.0);
    }
}
