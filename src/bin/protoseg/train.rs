//! `train`: a run with its progress bar and log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use protoseg::infer::Model;
use protoseg::train::{Command, Config, Event, Log, MAX_DATA_WAIT, SetPrototypes, TensorBoard};
use protoseg::words::{counted, listed};
use protoseg::{Error, Result};

use crate::args::{Cli, TrainArgs};
use crate::{prototypes, report};

pub async fn train(args: &TrainArgs, cli: &Cli) -> Result<()> {
    let config = Config::load(&args.config, &args.set)?;
    let name = args.config.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name));
    check(args, &config, &out)?;
    let interrupted = interruptions();
    let bar = crate::progress::bar(config.train.steps, "train");
    let mut lines = Lines::new(config.train.steps);
    let mut log = Log::new(&out);
    let mut board = config.train.tensorboard.then(|| TensorBoard::new(&out));
    let mut failed = None;
    let mut listen = |event: &Event| {
        let written = log.add(event).and_then(|()| board.as_mut().map_or(Ok(()), |board| board.add(event)));
        if let Err(error) = written {
            failed.get_or_insert(error);
            return Command::Stop;
        }
        show(&bar, &mut lines, event);
        if interrupted.load(Ordering::Relaxed) { Command::Stop } else { Command::Continue }
    };
    let result =
        protoseg::train::run(async || crate::open(cli).await, &config, &out, args.resume, &mut listen).await;
    bar.finish_and_clear();
    let gpu = result?;
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(Event::Done { step, .. }) = log.events().last()
        && *step < config.train.steps
    {
        return Err(Error::data(
            &out,
            format!("the run was stopped at step {step} of {}", config.train.steps),
            "go on with --resume",
        ));
    }
    let best = Model::open(&gpu, &out.join("best.safetensors"))?;
    if !args.report.is_empty() {
        report::write(&config, &out, log.events(), &args.report, best).await?;
    }
    summary(log.events(), &out);
    if config.train.tensorboard {
        say!("curves: tensorboard --logdir {}", out.display());
    }
    if !args.report.is_empty() {
        let drawn = if config.head.resolve()?.kind.has_prototypes() {
            format!("figure: {}/figure.png; ", out.display())
        } else {
            String::new()
        };
        say!("{drawn}report: {}/report.html", out.display());
    }
    Ok(())
}

/// What would be found wrong only after the training.
fn check(args: &TrainArgs, config: &Config, out: &Path) -> Result<()> {
    if !args.report.is_empty() {
        let data = config.data.open(&config.data.val)?;
        for name in &args.report {
            data.classes().by_name(name.trim())?;
        }
    }
    let own = |path: &Path| std::fs::canonicalize(path).ok();
    let resolved = out.join("config.toml");
    if !args.resume && own(&resolved).is_some_and(|path| own(&args.config) == Some(path)) {
        return Err(Error::data(
            &resolved,
            "the resolved configuration would replace the one that is given",
            "give another folder with --out",
        ));
    }
    Ok(())
}

/// Set by the first Ctrl-C, which lets the step end and a checkpoint be saved; the second ends the program at once.
fn interruptions() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        eprintln!("stopping after this step, with a checkpoint; press Ctrl-C again to end at once");
    };
    // Without a handler the program ends at Ctrl-C as any other does, which is no reason not to train.
    let _ = ctrlc::set_handler(handler);
    flag
}

/// Lines instead of the bar where standard error is no terminal: one per log event, and not more often than people read.
struct Lines {
    steps: u64,
    start: Instant,
    first: Option<u64>,
    last: Option<Instant>,
}

impl Lines {
    const PAUSE: Duration = Duration::from_secs(10);

    fn new(steps: u64) -> Self {
        Self { steps, start: Instant::now(), first: None, last: None }
    }

    fn step(&mut self, bar: &ProgressBar, step: u64, text: &str) {
        let first = *self.first.get_or_insert(step);
        if !bar.is_hidden() || self.last.is_some_and(|last| last.elapsed() < Self::PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        let left = match step - first {
            0 => String::new(),
            done => {
                let per_step = self.start.elapsed().as_secs_f64() / done as f64;
                format!(", about {:.0} s left", per_step * (self.steps - step) as f64)
            }
        };
        eprintln!("step {step}/{}: {text}{left}", self.steps);
    }
}

/// The bar follows the steps; everything else is a line above it.
fn show(bar: &ProgressBar, lines: &mut Lines, event: &Event) {
    match event {
        Event::Start { adapter, first_step, steps, images: [train, val] } => {
            bar.set_position(*first_step);
            line(bar, &format!("{train} training and {val} validation images, {steps} steps on {adapter}"));
        }
        Event::Plan { bytes, flops, dispatches, recomputed } => line(
            bar,
            &format!(
                "a step: {:.0} MiB on the device, {:.2} GFLOP, {dispatches} dispatches{}",
                *bytes as f64 / 1048576.0,
                *flops as f64 / 1e9,
                if *recomputed { ", blocks computed again to save memory" } else { "" }
            ),
        ),
        Event::Tick { step } => bar.set_position(*step),
        Event::Step { step, loss, ce, aux, images_per_sec, data_wait, .. } => {
            let losses = event.prototype_losses();
            let more = losses.map_or(String::new(), |[ppc, ppd]| format!(" ppc {ppc:.2} ppd {ppd:.3}"));
            let more = aux.map_or(more.clone(), |aux| format!("{more} aux {aux:.3}"));
            let waits = data_wait.filter(|&share| share > MAX_DATA_WAIT);
            let waits =
                waits.map_or(String::new(), |share| format!(", {:.0} % waiting for images", 100.0 * share));
            let text = format!("loss {loss:.3} (ce {ce:.3}{more}) {images_per_sec:.1} images/s{waits}");
            lines.step(bar, *step, &text);
            bar.set_message(text);
        }
        Event::Evaluation { step, images, scores, best } => {
            let mark = if *best { ", the best so far" } else { "" };
            line(
                bar,
                &format!(
                    "step {step}: mIoU {:.2} % on {}{mark}",
                    100.0 * scores.miou,
                    counted(*images, "image")
                ),
            );
        }
        Event::PrototypesSet { batches, of, classes, .. } => {
            line(bar, &first_prototypes(*batches, *of, classes))
        }
        Event::PrototypesRevived { step, classes, .. } if !classes.is_empty() => {
            let moved = prototypes::moved(classes);
            line(bar, &format!("before step {step}: prototypes moved onto pixels: {moved}"));
        }
        Event::Prototypes { mean_cosine, classes, .. } => {
            if let Some(text) = prototypes::line(*mean_cosine, classes) {
                line(bar, &text);
            }
        }
        Event::Warning { text } => line(bar, &format!("warning: {text}")),
        Event::PrototypesRevived { .. } | Event::Saved { .. } | Event::Paused { .. } | Event::Done { .. } => {
        }
    }
}

/// What the prototypes start from, and which of them start at random.
fn first_prototypes(batches: usize, of: usize, classes: &[SetPrototypes]) -> String {
    let pixels: u64 = classes.iter().map(|c| u64::from(c.pixels)).sum();
    let whole = classes.iter().filter(|c| c.set == of).count();
    let lacking = |c: &SetPrototypes| format!("{} ({} of {of})", c.name, of - c.set);
    let random: Vec<String> = classes.iter().filter(|c| c.set < of).map(lacking).collect();
    let rest =
        if random.is_empty() { String::new() } else { format!("; left at random: {}", listed(&random, 8)) };
    format!(
        "prototypes of {whole} of {} classes set by k-means of {pixels} labelled pixels in {batches} {}{rest}",
        classes.len(),
        if batches == 1 { "batch" } else { "batches" }
    )
}

/// A line that survives the bar, also where standard error is no terminal.
fn line(bar: &ProgressBar, text: &str) {
    bar.suspend(|| eprintln!("{text}"));
}

/// What the run achieved and where it lies.
fn summary(history: &[Event], out: &Path) {
    let scores = |e: &Event| match e {
        Event::Evaluation { step, scores, .. } => Some((*step, scores.clone())),
        _ => None,
    };
    let evaluations: Vec<_> = history.iter().filter_map(scores).collect();
    if let (Some((first_step, first)), Some((step, last))) = (evaluations.first(), evaluations.last()) {
        crate::eval::print(last, None);
        if first_step < step {
            say!(
                "mIoU {:.2} % before (step {first_step}), {:.2} % after (step {step})",
                100.0 * first.miou,
                100.0 * last.miou
            );
        }
    }
    let health = |e: &Event| match e {
        Event::Prototypes { mean_cosine, classes, .. } => prototypes::line(*mean_cosine, classes),
        _ => None,
    };
    if let Some(text) = history.iter().rev().find_map(health) {
        say!("{text}");
    }
    say!("models: {0}/last.safetensors, {0}/best.safetensors; log: {0}/log.jsonl", out.display());
}
