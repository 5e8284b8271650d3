//! `plan --time`: nodes and kernels of a run by the device's own clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use protoseg::Result;
use protoseg::gpu::Gpu;
use protoseg::model::PROTOTYPES;
use protoseg::rng::Rng;
use protoseg::tape::{DType, Plan, Program, Role, Store, Tape};
use serde::Serialize;

/// Lines of each table.
const SHOWN: usize = 25;

/// Both ways to add the times up, each with the slowest first.
#[derive(Serialize)]
pub struct Times {
    /// The whole run, in seconds.
    device_secs: f64,
    nodes: Vec<Share>,
    kernels: Vec<Share>,
}

/// A node, or a kernel with all nodes of a scope that run it.
#[derive(Serialize)]
struct Share {
    name: String,
    /// Shape of a node's first output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shape: Vec<usize>,
    dispatches: usize,
    device_secs: f64,
    /// Of the whole run.
    share: f64,
}

/// Runs the program on random content once to compile it and once more for the times; `None` if the adapter has no timestamps.
pub async fn measure(gpu: &Arc<Gpu>, tape: &Tape, program: &Program) -> Result<Option<Times>> {
    let plan = Plan::new(gpu, tape, program, &mut Store::new())?;
    fill(tape, &plan);
    plan.run();
    gpu.wait()?;
    let Some(times) = plan.profile().await? else { return Ok(None) };
    let total: f64 = times.iter().map(|t| t.seconds).sum();
    let share = |name: String, shape: Vec<usize>, dispatches: usize, device_secs: f64| {
        let share = if total > 0.0 { device_secs / total } else { 0.0 };
        Share { name, shape, dispatches, device_secs, share }
    };
    let mut left = times.iter();
    let mut nodes = Vec::new();
    for node in program.nodes().iter().filter(|n| n.dispatches > 0 && !n.constant) {
        let secs = left.by_ref().take(node.dispatches).map(|t| t.seconds).sum();
        nodes.push(share(node.name.clone(), node.shape.clone(), node.dispatches, secs));
    }
    let mut sums: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for time in &times {
        let sum = sums.entry(&time.label).or_default();
        *sum = (sum.0 + 1, sum.1 + time.seconds);
    }
    let sums = sums.into_iter().map(|(label, (calls, secs))| share(label.to_owned(), vec![], calls, secs));
    let mut kernels: Vec<_> = sums.collect();
    for list in [&mut nodes, &mut kernels] {
        list.sort_by(|a, b| b.device_secs.total_cmp(&a.device_secs));
    }
    Ok(Some(Times { device_secs: total, nodes, kernels }))
}

/// Content as in a real run, as far as times depend on it: labels of all classes, numbers that stay finite. Nothing is
/// negative, so that any of them may be a variance.
fn fill(tape: &Tape, plan: &Plan) {
    let classes = tape.find(PROTOTYPES).map_or(1, |id| tape.value(id).shape[0] as u32);
    let mut rng = Rng::new(1, 0);
    for value in tape.values() {
        let outside = matches!(value.role, Role::Input | Role::Param | Role::State);
        let Some(id) = tape.find(&value.name).filter(|_| outside) else { continue };
        let count = value.len();
        match value.dtype {
            DType::F32 => plan.write(id, &(0..count).map(|_| rng.range(0.01, 0.1)).collect::<Vec<_>>()),
            DType::I32 => plan.write(id, &(0..count).map(|_| rng.below(classes) as i32).collect::<Vec<_>>()),
            DType::U32 => plan.write(id, &vec![0_u32; count]),
        }
    }
}

/// Prints the slowest.
pub fn print(times: Option<&Times>) {
    let Some(times) = times else {
        say!("this adapter has no timestamps");
        return;
    };
    say!("time       {:.1} ms on the device", 1e3 * times.device_secs);
    for (what, list) in [("kernels, by scope", &times.kernels), ("nodes", &times.nodes)] {
        say!("{what}, the slowest first:");
        for Share { name, shape, dispatches, device_secs, share } in list.iter().take(SHOWN) {
            let shape = if shape.is_empty() { String::new() } else { format!(" {shape:?}") };
            say!("{:>9.2} ms {:>5.1} % {dispatches:>5} x  {name}{shape}", 1e3 * device_secs, 100.0 * share);
        }
        let secs = list.iter().skip(SHOWN).map(|t| t.device_secs).sum::<f64>();
        if secs > 0.0 {
            let share = 100.0 * secs / times.device_secs;
            say!("{:>9.2} ms {share:>5.1} %          the other {}", 1e3 * secs, list.len() - SHOWN);
        }
    }
}
