//! `train`: a run with its progress bar and log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use protoseg::train::{Command, Config, Event};
use protoseg::{Error, Result};

use crate::args::{Cli, TrainArgs};
use crate::report;

pub async fn train(args: &TrainArgs, cli: &Cli) -> Result<()> {
    let config = Config::load(&args.config, &args.set)?;
    let name = args.config.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name));
    let log_path = out.join("log.jsonl");
    let mut log = None;
    let bar = crate::progress::bar(config.train.steps, "train");
    let mut history = Vec::new();
    let mut failed = None;
    let mut listen = |event: &Event| {
        let line = serde_json::to_string(event).unwrap_or_default();
        if let Err(error) = write_line(&mut log, &log_path, args.resume, &line) {
            failed = Some(Error::io("write the log", &log_path, error));
            return Command::Stop;
        }
        show(&bar, event);
        history.push(event.clone());
        Command::Continue
    };
    let result =
        protoseg::train::run(async || crate::open(cli).await, &config, &out, args.resume, &mut listen).await;
    bar.finish_and_clear();
    let gpu = result?;
    if let Some(error) = failed {
        return Err(error);
    }
    summary(&history, &out);
    if !args.report.is_empty() {
        report::write(&gpu, &config, &out, &history, &args.report).await?;
    }
    Ok(())
}

/// Adds a line to the log, which is opened with the first: by then the run folder is there and its contents are known to
/// be this run's.
fn write_line(log: &mut Option<File>, path: &Path, append: bool, line: &str) -> std::io::Result<()> {
    let file = match log {
        Some(file) => file,
        None => {
            log.insert(File::options().create(true).append(append).write(true).truncate(!append).open(path)?)
        }
    };
    writeln!(file, "{line}")
}

/// The bar follows the steps; everything else is a line above it.
fn show(bar: &ProgressBar, event: &Event) {
    match event {
        Event::Start { adapter, first_step, steps, images: [train, val] } => {
            bar.set_position(*first_step);
            line(bar, &format!("{train} training and {val} validation images, {steps} steps on {adapter}"));
        }
        Event::Plan { bytes, flops, dispatches } => line(
            bar,
            &format!(
                "a step: {:.0} MiB on the device, {:.2} GFLOP, {dispatches} dispatches",
                *bytes as f64 / 1048576.0,
                *flops as f64 / 1e9
            ),
        ),
        Event::Step { step, loss, ce, ppc, ppd, images_per_sec, .. } => {
            bar.set_position(*step);
            bar.set_message(format!(
                "loss {loss:.3} (ce {ce:.3} ppc {ppc:.2} ppd {ppd:.3}) {images_per_sec:.1} images/s"
            ));
        }
        Event::Evaluation { step, scores, best, .. } => {
            let mark = if *best { ", the best so far" } else { "" };
            line(bar, &format!("step {step}: mIoU {:.2} %{mark}", 100.0 * scores.miou));
        }
        Event::Warning { text } => line(bar, &format!("warning: {text}")),
        Event::Prototypes { .. } | Event::Saved { .. } | Event::Done { .. } => {}
    }
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
        crate::eval::print(last);
        if first_step < step {
            say!(
                "mIoU {:.2} % before (step {first_step}), {:.2} % after (step {step})",
                100.0 * first.miou,
                100.0 * last.miou
            );
        }
    }
    let cosines = |e: &Event| match e {
        Event::Prototypes { mean_cosine, classes, .. } => {
            let closest = classes.iter().max_by(|a, b| a.max.total_cmp(&b.max))?;
            Some((*mean_cosine, closest.name.clone(), closest.max))
        }
        _ => None,
    };
    if let Some((mean, name, max)) = history.iter().rev().find_map(cosines) {
        say!(
            "cosine between prototypes of a class: {mean:.3} on average, {max:.3} for the closest pair ({name})"
        );
    }
    say!("models: {0}/last.safetensors, {0}/best.safetensors; log: {0}/log.jsonl", out.display());
}
