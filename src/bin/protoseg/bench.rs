//! `bench`: how fast this adapter runs every operation and the named workloads.

use std::sync::Arc;

use protoseg::bench::peak::{self, Peak, Rates};
use protoseg::bench::{Bound, Direction, Job, Timing, works};
use protoseg::gpu::{Gpu, Variant};
use protoseg::ops::table::TABLE;
use protoseg::{Error, Result};
use serde::Serialize;

use crate::args::{BenchArgs, Cli};
use crate::start::{self, FIRST_STEP, START, Start};
use crate::vocabulary::{self, LARGE_VOCABULARY};

/// What is timed only when it is asked for, and with documents of its own.
const ALONE: [&str; 2] = [FIRST_STEP, LARGE_VOCABULARY];

/// What a document of `--json` says of where it was measured.
#[derive(Serialize)]
pub struct Measurer {
    version: &'static str,
    adapter: String,
    variant: Variant,
    software: bool,
}

impl Measurer {
    pub fn new(gpu: &Gpu) -> Self {
        let caps = gpu.caps();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            adapter: gpu.name().to_owned(),
            variant: caps.variant,
            software: caps.software,
        }
    }
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    measurer: Measurer,
    peak: Peak,
    results: Vec<Measured>,
    start: Option<Start>,
}

/// Times of one piece of work.
#[derive(Serialize)]
struct Measured {
    /// Stem of the operation, or name of the workload.
    name: String,
    /// Size and direction of an operation; absent for a workload.
    case: Option<String>,
    direction: Option<Direction>,
    #[serde(flatten)]
    timing: Timing,
    /// Sum over the kernels by the device's own clock, each in a pass of its own.
    device_secs: Option<f64>,
    flops: u64,
    /// Every node's inputs and outputs, once each.
    bytes: u64,
    #[serde(flatten)]
    rates: Rates,
    /// The same per second of processor time, on a software adapter.
    cpu_rates: Option<Rates>,
    /// The time that arithmetic or traffic would take at the measured peak, whichever is longer, over the best time; both are
    /// processor time on a software adapter.
    share_of_peak: f64,
    dispatches: usize,
    plan_bytes: u64,
}

pub async fn bench(args: &BenchArgs, cli: &Cli) -> Result<()> {
    if args.list {
        list();
        return Ok(());
    }
    check_names(&args.names)?;
    if args.names == [FIRST_STEP] {
        return start::first_step(args.json, cli).await;
    }
    if args.names == [LARGE_VOCABULARY] {
        return vocabulary::large_vocabulary(args, cli).await;
    }
    if args.dimension.or(args.side).is_some() {
        return Err(Error::config(
            "--dimension and --side are sizes of large_vocabulary, and something else is to be timed",
            format!("leave them out, or give {LARGE_VOCABULARY} as the only name"),
        ));
    }
    let gpu = crate::open(cli).await?;
    let peak = peak::measure(&gpu, args.seconds)?;
    if !args.json {
        header(&gpu, &peak);
    }
    let mut results = Vec::new();
    let mut add = |measured: Measured| {
        if !args.json {
            say!("{}", measured.row());
        }
        results.push(measured);
    };
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|n| n == name);
    for row in TABLE.iter().filter(|row| wanted(row.stem)) {
        for case in (row.bench)() {
            for direction in [Direction::Forward, Direction::Gradients] {
                eprint_progress(row.stem, args.json);
                let Some(job) = Job::of_case(&case, direction)? else { continue };
                let mut measured = measure(&gpu, &peak, row.stem, job, args.seconds).await?;
                measured.case = Some(case.name.clone());
                measured.direction = Some(direction);
                add(measured);
            }
        }
    }
    for work in works().iter().filter(|work| wanted(work.name)) {
        eprint_progress(work.name, args.json);
        add(measure(&gpu, &peak, work.name, (work.record)()?, args.seconds).await?);
    }
    let start = if wanted(START) { Some(start::measure(cli)?) } else { None };
    if !args.json {
        if let Some(start) = &start {
            start.print();
        }
        return Ok(());
    }
    crate::print_json(&Document { measurer: Measurer::new(&gpu), peak, results, start })
}

/// What is being measured, for whoever waits for the document.
fn eprint_progress(name: &str, json: bool) {
    if json {
        eprintln!("bench: {name}");
    }
}

async fn measure(gpu: &Arc<Gpu>, peak: &Peak, name: &str, job: Job, seconds: f64) -> Result<Measured> {
    let bound: Bound = job.bind(gpu)?;
    let timing = bound.time(seconds)?;
    let device_secs = bound.device_secs().await?;
    let program = bound.program();
    let (flops, bytes) = (program.flops(), program.nodes().iter().map(|n| n.cost.bytes).sum());
    let rates =
        |secs: f64| Rates { gflops: 1e-9 * flops as f64 / secs, gb_per_sec: 1e-9 * bytes as f64 / secs };
    // A software adapter shares its cores with whatever else runs; processor time does not count that.
    let (at_best, secs) = match peak.cpu.zip(timing.cpu_secs) {
        Some((cpu, secs)) => (cpu, secs),
        None => (peak.wall, timing.best_secs),
    };
    Ok(Measured {
        name: name.to_owned(),
        case: None,
        direction: None,
        device_secs,
        flops,
        bytes,
        rates: rates(timing.best_secs),
        cpu_rates: peak.cpu.and(timing.cpu_secs).map(rates),
        share_of_peak: at_best.floor_secs(flops, bytes) / secs,
        dispatches: program.num_dispatches(),
        plan_bytes: program.bytes(),
        timing,
    })
}

impl Measured {
    /// A line of the table.
    fn row(&self) -> String {
        let direction = match self.direction {
            Some(Direction::Gradients) => " + gradients",
            _ => "",
        };
        let case = self.case.as_ref().map_or_else(String::new, |case| format!(" {case}{direction}"));
        let ms = |secs: Option<f64>| secs.map_or_else(|| "-".to_owned(), |secs| format!("{:.3}", 1e3 * secs));
        let rates = self.cpu_rates.unwrap_or(self.rates);
        format!(
            "{:58} {:>10} {:>10} {:>10} {:>10} {:>9.1} {:>8.2} {:>7.1} {:>7.1}",
            format!("{}{case}", self.name),
            ms(Some(self.timing.best_secs)),
            ms(Some(self.timing.median_secs)),
            ms(self.device_secs),
            ms(self.timing.cpu_secs),
            rates.gflops,
            rates.gb_per_sec,
            100.0 * self.share_of_peak,
            100.0 * self.timing.host_secs / self.timing.best_secs,
        )
    }
}

fn header(gpu: &Gpu, peak: &Peak) {
    say!("adapter  {}, kernels {}", gpu.name(), gpu.caps().variant.name());
    let rates = |of: fn(&Rates) -> f64, unit: &str| {
        let per_core = peak.cpu.as_ref().map_or_else(String::new, |cpu| format!(", {:.1} per core", of(cpu)));
        format!("{:.1} {unit}{per_core}", of(&peak.wall))
    };
    say!("copy     {}, read and written together", rates(|r| r.gb_per_sec, "GB/s"));
    say!("f32      {} of multiply-add", rates(|r| r.gflops, "GFLOP/s"));
    if peak.cpu.is_some() {
        say!(
            "On this software adapter GFLOP/s, GB/s and % of peak are per second of processor time, that is per core."
        );
    }
    let columns = ["best ms", "median ms", "device ms", "cpu ms"].map(|name| format!("{name:>10}")).join(" ");
    say!("{:58} {columns} {:>9} {:>8} {:>7} {:>7}", "", "GFLOP/s", "GB/s", "% peak", "% host");
}

fn list() {
    say!("operations, at sizes as in real work:");
    for row in TABLE {
        say!("  {:24} {}", row.stem, row.about);
    }
    say!("workloads:");
    for work in works() {
        say!("  {:24} {}", work.name, work.about);
    }
    say!("  {START:24} this program started twice, with an empty and a filled cache of the driver's");
    say!(
        "  {LARGE_VOCABULARY:24} learnable numbers, memory and time of the heads from 150 to 10,000 classes; by name alone"
    );
    say!("  {FIRST_STEP:24} what is started there: from nothing to the end of the first training step");
}

/// Refuses a name that nothing has.
fn check_names(names: &[String]) -> Result<()> {
    let known = |name: &String| {
        TABLE.iter().any(|row| row.stem == name)
            || works().iter().any(|work| work.name == name)
            || name == START
            || (ALONE.contains(&name.as_str()) && names.len() == 1)
    };
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) if ALONE.contains(&name.as_str()) => {
            Err(Error::config(format!("`{name}` is not alone"), "give it as the only name"))
        }
        Some(name) => Err(Error::config(
            format!("there is nothing named `{name}` to time"),
            "`protoseg bench --list` names everything",
        )),
    }
}
