//! The adapter's measured peaks: a copy, and multiply-adds on registers.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::{Buffer, Commands, Dispatch, Gpu, Slot, Uniform, grid, uniform};

use super::time::{Timing, time};

uniform! {
    struct Params {
        num_quads: u32,
        rounds: u32,
        factor: f32,
        shift: f32,
    }
}

/// Bytes of each of the two buffers that are copied: above most caches, within WebGPU's 128 MiB of a binding.
const COPY_BYTES: u64 = 128 << 20;
/// Rounds of multiply-add per invocation, far below the 65,535 at which a driver may end a loop.
const ROUNDS: u32 = 256;
/// Floating point operations of one round.
const ROUND_FLOPS: u64 = 256;
/// Invocations per workgroup.
const GROUP: usize = 64;
/// A measurement of the arithmetic lasts at least this long, in seconds, before its work is no more doubled.
const LONG_ENOUGH_SECS: f64 = 0.02;
/// Workgroups at most: WebGPU's limit per dimension.
const MAX_GROUPS: u32 = 65_535;

/// Arithmetic and traffic per second.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Rates {
    /// In GFLOP/s; a multiply-add counts twice.
    pub gflops: f64,
    /// Bytes read and written, in GB/s.
    pub gb_per_sec: f64,
}

/// What the adapter does at best: multiply-adds in f32 on registers, and a copy of 128 MiB.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Peak {
    /// Per second.
    pub wall: Rates,
    /// On a software adapter, per second of processor time: what one core does.
    pub cpu: Option<Rates>,
}

impl Rates {
    /// The shortest time that work of this much arithmetic and traffic could take, in seconds.
    #[must_use]
    pub fn floor_secs(&self, flops: u64, bytes: u64) -> f64 {
        1e-9 * (flops as f64 / self.gflops).max(bytes as f64 / self.gb_per_sec)
    }
}

/// The copy of `num_quads` vec4s.
fn copy(num_quads: u32) -> Dispatch {
    let params = Params { num_quads, rounds: 0, factor: 0.0, shift: 0.0 };
    let bindings = vec![("source", Slot::Value(0)), ("out", Slot::Value(1))];
    dispatch("copy", params, bindings, grid(num_quads as usize, GROUP))
}

/// Multiply-adds of `groups` workgroups.
fn multiply_add(num_quads: u32, groups: u32) -> Dispatch {
    // The factor is below 1, so that the numbers stay finite, and far from 0, so that they stay normal.
    let params = Params { num_quads, rounds: ROUNDS, factor: 0.75, shift: 0.5 };
    dispatch("multiply_add", params, vec![("out", Slot::Value(1))], [groups, 1, 1])
}

fn dispatch(
    entry: &'static str,
    params: Params,
    bindings: Vec<(&'static str, Slot)>,
    groups: [u32; 3],
) -> Dispatch {
    let uniform = bytemuck::bytes_of(&params).to_vec();
    let fields = Params::FIELDS;
    Dispatch {
        shader: "peak",
        entry,
        constants: Vec::new(),
        uniform,
        fields,
        bindings,
        groups,
        measured: None,
    }
}

/// One dispatch of each kernel, for tests of the shaders.
#[must_use]
pub fn dispatches() -> Vec<Dispatch> {
    vec![copy(1000), multiply_add(1000, 1)]
}

/// Measures both peaks, each for about `seconds`.
///
/// # Errors
/// [`Error::Device`](crate::Error::Device) if the device reported trouble.
pub fn measure(gpu: &Arc<Gpu>, seconds: f64) -> Result<Peak> {
    let bytes = COPY_BYTES.min(gpu.caps().max_binding_bytes).min(gpu.caps().max_buffer_bytes) / 16 * 16;
    let num_quads = (bytes / 16) as u32;
    let buffers = [gpu.buffer("copied from", bytes)?, gpu.buffer("copied to", bytes)?];
    let copied = timed(gpu, seconds, copy(num_quads), &buffers)?;
    let mut groups = 64;
    let mut timing = timed(gpu, 0.0, multiply_add(num_quads, groups), &buffers)?;
    while timing.best_secs < LONG_ENOUGH_SECS && groups < MAX_GROUPS {
        groups = (groups * 2).min(MAX_GROUPS);
        timing = timed(gpu, 0.0, multiply_add(num_quads, groups), &buffers)?;
    }
    let timing = timed(gpu, seconds, multiply_add(num_quads, groups), &buffers)?;
    let gflop = 1e-9 * (u64::from(groups) * GROUP as u64 * u64::from(ROUNDS) * ROUND_FLOPS) as f64;
    let gigabytes = 2e-9 * bytes as f64;
    let rates = |copy_secs: f64, secs: f64| Rates { gflops: gflop / secs, gb_per_sec: gigabytes / copy_secs };
    let cpu = copied.cpu_secs.zip(timing.cpu_secs).filter(|_| gpu.caps().software);
    Ok(Peak {
        wall: rates(copied.best_secs, timing.best_secs),
        cpu: cpu.map(|(copy_secs, secs)| rates(copy_secs, secs)),
    })
}

fn timed(gpu: &Arc<Gpu>, seconds: f64, dispatch: Dispatch, buffers: &[Buffer; 2]) -> Result<Timing> {
    let place = |_, slot| match slot {
        Slot::Value(index) | Slot::Scratch(index) => buffers[index as usize].clone(),
    };
    let commands = Commands::new(gpu, &[("peak".to_owned(), dispatch)], usize::MAX, place)?;
    time(gpu, seconds, || commands.run_part(0..1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_arithmetic_and_traffic_counts() {
        let peak = Rates { gflops: 100.0, gb_per_sec: 10.0 };
        assert_eq!(peak.floor_secs(200_000_000_000, 1), 2.0);
        assert_eq!(peak.floor_secs(1, 50_000_000_000), 5.0);
    }

    /// A copy that copies too little, or arithmetic that is dropped, would make a peak that no kernel can come near.
    #[test]
    fn both_kernels_do_their_work() {
        let gpu = crate::testing::gpu();
        let buffers = [gpu.buffer("a", 16_000).expect("small"), gpu.buffer("b", 16_000).expect("small")];
        let values: Vec<f32> = (0..4000).map(|i| i as f32).collect();
        gpu.write(&buffers[0], bytemuck::cast_slice(&values));
        let read = || -> Vec<f32> {
            let raw = pollster::block_on(gpu.read(&buffers[1], 16_000)).expect("a read-back");
            bytemuck::pod_collect_to_vec(&raw)
        };
        timed(&gpu, 0.0, copy(1000), &buffers).expect("a run");
        assert_eq!(read(), values);
        timed(&gpu, 0.0, multiply_add(1000, 2), &buffers).expect("a run");
        // The fixed point of x = 0.75 x + 0.5 is 2, and two of them are added.
        let found = read();
        assert!(found[..512].iter().all(|x| (x - 4.0).abs() < 1e-5), "{:?}", &found[..8]);
        assert_eq!(found[512..], values[512..]);
    }
}
