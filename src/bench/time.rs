//! How long something submitted to the device takes.

use std::time::Instant;

use crate::error::Result;
use crate::gpu::Gpu;

use super::clock::cpu_secs;

/// A sample lasts at least this long, in seconds: short work is submitted several times before waiting, so that the waiting
/// itself does not count.
const SAMPLE_SECS: f64 = 0.02;
/// Submissions of one sample at most.
const MAX_REPLAYS: usize = 500;
/// A run of this many seconds is long.
const LONG_SECS: f64 = 3.0;
/// Samples at most.
const MAX_SAMPLES: usize = 60;

/// Times of one run, in seconds.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Timing {
    /// The first run of all, compilation of kernels included.
    pub first_secs: f64,
    /// Median over the samples.
    pub median_secs: f64,
    /// The best sample.
    pub best_secs: f64,
    /// Processor time of this program, the best sample; absent where the system does not tell.
    pub cpu_secs: Option<f64>,
    /// Time that the calling thread takes to hand a run over, the best sample.
    pub host_secs: f64,
    /// Number of samples.
    pub samples: usize,
    /// Runs per sample.
    pub replays: usize,
}

/// Times `run`, which submits without waiting: after a warm-up at least three samples (two of runs that
/// take seconds), and more until `seconds` are over.
///
/// # Errors
/// [`Error::Device`](crate::Error::Device) if the device reported trouble.
pub fn time(gpu: &Gpu, seconds: f64, mut run: impl FnMut()) -> Result<Timing> {
    let mut sample = |replays: usize| -> Result<Sample> {
        let (cpu, start) = (cpu_secs(), Instant::now());
        // Measured on the first run alone: with more in the queue, handing over waits for the device.
        run();
        let host = start.elapsed().as_secs_f64();
        for _ in 1..replays {
            run();
        }
        gpu.wait()?;
        let wall = start.elapsed().as_secs_f64();
        let cpu = cpu.zip(cpu_secs()).map(|(before, after)| after - before);
        let each = 1.0 / replays as f64;
        Ok(Sample { wall: wall * each, host, cpu: cpu.map(|secs| secs * each) })
    };
    gpu.wait()?;
    let first_secs = sample(1)?.wall;
    let start = Instant::now();
    let once = sample(1)?;
    let replays = ((SAMPLE_SECS / once.wall.max(1e-9)) as usize).clamp(1, MAX_REPLAYS);
    // A run that is long enough is a sample itself, and of very long ones two must do.
    let wanted = if once.wall > LONG_SECS { 2 } else { 3 };
    let mut samples = if replays == 1 { vec![once] } else { Vec::new() };
    while samples.len() < wanted || (start.elapsed().as_secs_f64() < seconds && samples.len() < MAX_SAMPLES) {
        samples.push(sample(replays)?);
    }
    let best = |of: fn(&Sample) -> f64| samples.iter().map(of).fold(f64::INFINITY, f64::min);
    let mut walls: Vec<f64> = samples.iter().map(|s| s.wall).collect();
    walls.sort_by(f64::total_cmp);
    Ok(Timing {
        first_secs,
        median_secs: walls[walls.len() / 2],
        best_secs: walls[0],
        cpu_secs: samples.iter().filter_map(|s| s.cpu).reduce(f64::min),
        host_secs: best(|s| s.host),
        samples: samples.len(),
        replays,
    })
}

/// One sample, per run.
struct Sample {
    wall: f64,
    host: f64,
    cpu: Option<f64>,
}
