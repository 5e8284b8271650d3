//! The study: every question of docs/study.md answered by short runs on CamVid that depart from one configuration in one point.
//!
//! ```text
//! cargo run --release --example study -- --data CAMVID --weights MOBILENET_V2.safetensors --page docs
//! ```
//!
//! A run that ended is not done again, and one that was interrupted goes on from its last checkpoint, so the command can be
//! given until all is done. With `--page` the tables and curves of what is finished are written after each run.

mod page;
mod plan;
mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use protoseg::data::{ClassInfo, Classes};
use protoseg::gpu::Gpu;
use protoseg::model::{ClassifierSize, ModelSpec, Provenance};
use protoseg::train::{Command, Config, Event, Log};

use page::{Outcomes, Parameters};
use plan::{RUNS, Run};

/// Answers the study's questions.
#[derive(Parser)]
struct Args {
    /// CamVid in the folder layout
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// MobileNetV2 trained on ImageNet
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs/study")]
    out: PathBuf,
    /// Folder that gets study.md and study/
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
    /// Seeds
    #[arg(long, value_delimiter = ',', default_value = "0")]
    seeds: Vec<u32>,
    /// Only these runs; none with an empty list, for the page alone
    #[arg(long, value_delimiter = ',', value_name = "RUN,...")]
    only: Option<Vec<String>>,
    /// Override a key in all runs, as train.steps=2000
    #[arg(long = "set", value_name = "section.key=value")]
    set: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let wanted: Vec<&str> =
        args.only.iter().flatten().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = wanted.iter().find(|name| RUNS.iter().all(|run| run.name != **name)) {
        let names: Vec<&str> = RUNS.iter().map(|run| run.name).collect();
        bail!("there is no run `{unknown}`; choose among {}", names.join(", "));
    }
    for &seed in &args.seeds {
        for run in RUNS.iter().filter(|run| args.only.is_none() || wanted.contains(&run.name)) {
            let folder = folder(&args.out, run, seed);
            if results::read(&folder).is_none() {
                train(&args, run, seed, &folder)?;
                write_page(&args)?;
            }
        }
    }
    write_page(&args)
}

fn folder(out: &Path, run: &Run, seed: u32) -> PathBuf {
    out.join(format!("{}-seed{seed}", run.name))
}

/// One run, from its checkpoint where there is one.
fn train(args: &Args, run: &Run, seed: u32, out: &Path) -> Result<()> {
    let mut set: Vec<String> = run.set.iter().map(|key| (*key).to_owned()).collect();
    set.push(format!("data.root={}", args.data.display()));
    set.push(format!("train.weights={}", args.weights.display()));
    set.push(format!("train.seed={seed}"));
    let config = config(args, set)?;
    let resume = out.join("checkpoints").exists();
    eprintln!("{}: {}", out.display(), if resume { "going on" } else { "starting" });
    let mut log = Log::new(out);
    let mut failed = None;
    let mut listen = |event: &Event| {
        if let Event::Evaluation { step, scores, .. } = event {
            eprintln!("  step {step}: mIoU {:.2} %", 100.0 * scores.miou);
        }
        match log.add(event) {
            Ok(()) => Command::Continue,
            Err(error) => {
                failed = Some(error);
                Command::Stop
            }
        }
    };
    let open = async || Gpu::open(std::env::var("PROTOSEG_ADAPTER").ok().as_deref(), None).await;
    pollster::block_on(protoseg::train::run(open, &config, out, resume, &mut listen))
        .with_context(|| format!("the run `{}` failed", run.name))?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// The base configuration with `set` and what the command line changes.
fn config(args: &Args, mut set: Vec<String>) -> Result<Config> {
    set.extend(args.set.iter().cloned());
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/study/base.toml");
    Ok(Config::load(&base, &set)?)
}

/// How many numbers the classifier of each head learns, by number of classes.
fn parameters(args: &Args) -> Result<Vec<Parameters>> {
    type Count = fn(&ClassifierSize) -> usize;
    let rows: [(&str, &str, Count); 5] = [
        ("prototype", "prototype", |size| size.learnable),
        ("its mask norm, beside the classifier", "prototype", |size| size.mask_norm),
        ("softmax", "softmax", |size| size.learnable),
        ("query, with its decoder", "query", |size| size.learnable),
        ("query, the part that grows with C", "query", |size| size.grows_with_classes),
    ];
    let mut table = Vec::new();
    for (label, kind, count) in rows {
        let config = config(args, vec![format!("head.kind={kind}")])?;
        let mut counts = Vec::new();
        for num_classes in [11, 150, 847] {
            let class = |i: usize| ClassInfo { id: i as u16, name: format!("class {i}"), color: [0; 3] };
            let spec = ModelSpec {
                net: config.model.clone(),
                head: config.head.resolve()?,
                classes: Classes::new((0..num_classes).map(class).collect()),
                normalisation: config.normalisation,
                provenance: Provenance::default(),
            };
            counts.push((num_classes, count(&ClassifierSize::of(&spec)?)));
        }
        table.push((label, counts));
    }
    Ok(table)
}

/// Writes the page of what is finished, where one is wanted.
fn write_page(args: &Args) -> Result<()> {
    let Some(page) = &args.page else { return Ok(()) };
    let mut outcomes = Outcomes::new();
    for &seed in &args.seeds {
        for run in RUNS {
            if let Some(outcome) = results::read(&folder(&args.out, run, seed)) {
                outcomes.insert((run.name, seed), outcome);
            }
        }
    }
    let pictures = page.join("study");
    std::fs::create_dir_all(&pictures).with_context(|| format!("cannot create `{}`", pictures.display()))?;
    page::curves(&outcomes, &["base", "softmax", "query"], false, &pictures.join("miou.svg"))?;
    let rules = ["base", "gumbel", "momentum-0.99", "gumbel-0.99", "random"];
    page::curves(&outcomes, &rules, true, &pictures.join("cosine.svg"))?;
    let seeds = args.seeds.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let set: String = args.set.iter().map(|key| format!(" --set {key}")).collect();
    let command = format!(
        "cargo run --release --example study -- --data CAMVID --weights MOBILENET_V2.safetensors --seeds {seeds}{set} --page docs"
    );
    let text = page::markdown(&outcomes, &command, &parameters(args)?);
    let path = page.join("study.md");
    std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
