//! Measures which tiles suit this device, for the products of matrices that a tape holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::gpu::{Buffer, Caps, Commands, Dispatch, Gemm, Gpu, Slot, Tile, Tiles};

use super::Tape;
use super::program::{Keep, Program};

/// Timed runs per candidate, after one that compiles; the fastest counts.
const RUNS: usize = 3;

/// Capabilities to lower `tape` by. With [`Gpu::measure_tiles`], every product of matrices whose size is new is timed with
/// each tile first, on buffers of the plan's own sizes: some milliseconds on a GPU beside the compilation of at most four
/// kernels per shape. All tiles give the same bits.
///
/// # Errors
/// [`Error::Device`](crate::Error::Device) if memory is short or the device reported trouble, [`Error::Io`](crate::Error::Io)
/// if what was measured cannot be kept.
pub async fn tuned_caps(gpu: &Arc<Gpu>, tape: &Tape, keep: Keep<'_>) -> Result<Caps> {
    let Some(known) = gpu.measured_tiles() else { return Ok(gpu.caps().clone()) };
    let mut best: BTreeMap<Gemm, (f64, Tile)> = BTreeMap::new();
    for tile in Tile::ALL {
        let caps = Caps { tiles: Tiles::only(tile), ..gpu.caps().clone() };
        let program = Program::new(tape, &caps, keep);
        let wanted = first_of_each(&program, &known);
        if wanted.is_empty() {
            break;
        }
        for (gemm, seconds) in time(gpu, tape, &program, &wanted).await? {
            let entry = best.entry(gemm).or_insert((seconds, tile));
            // Strictly less: of equally fast tiles the first one stays.
            if seconds < entry.0 {
                *entry = (seconds, tile);
            }
        }
    }
    if !best.is_empty() {
        gpu.keep_tiles(best.into_iter().map(|(gemm, (_, tile))| (gemm, tile)).collect())?;
    }
    Ok(gpu.tuned_caps())
}

/// The first dispatch of every product of matrices that is not `known`, by its number.
fn first_of_each(program: &Program, known: &BTreeMap<Gemm, Tile>) -> Vec<(Gemm, usize)> {
    let mut found = BTreeMap::new();
    for (index, dispatch) in program.dispatches().enumerate() {
        if let Some(gemm) = dispatch.measured.filter(|gemm| !known.contains_key(gemm)) {
            found.entry(gemm).or_insert(index);
        }
    }
    found.into_iter().collect()
}

/// Seconds of each of `wanted`, whose buffers hold zeros: no kernel's time depends on what it multiplies.
async fn time(
    gpu: &Arc<Gpu>,
    tape: &Tape,
    program: &Program,
    wanted: &[(Gemm, usize)],
) -> Result<Vec<(Gemm, f64)>> {
    let shared = program.buffer_bytes.iter().map(|&bytes| gpu.buffer("temporaries", bytes));
    let shared = shared.collect::<Result<Vec<_>>>()?;
    let mut outside: BTreeMap<u32, Buffer> = BTreeMap::new();
    for &id in &program.outside {
        outside.insert(id.0, gpu.buffer("outside", tape.value(id).bytes())?);
    }
    let dispatches: Vec<(String, Dispatch)> =
        wanted.iter().map(|&(_, index)| program.dispatches[index].clone()).collect();
    let place = |number: usize, slot: Slot| match (program.place(wanted[number].1, slot), slot) {
        (Some(place), _) => shared[place].clone(),
        (None, Slot::Value(id)) => outside[&id].clone(),
        (None, Slot::Scratch(_)) => unreachable!("every scratch slot has a place"),
    };
    let commands = Commands::new(gpu, &dispatches, dispatches.len(), place)?;
    commands.run_part(0..commands.len());
    gpu.wait()?;
    let mut best = vec![f64::INFINITY; wanted.len()];
    for _ in 0..RUNS {
        let times = commands.profile(0..commands.len()).await?.unwrap_or_default();
        for (best, found) in best.iter_mut().zip(&times) {
            *best = best.min(found.seconds);
        }
    }
    Ok(wanted.iter().map(|w| w.0).zip(best).collect())
}
