//! What a run folder says of its run.

use std::path::Path;

use protoseg::train::Event;

/// Numbers at one evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Fraction.
    pub miou: f64,
    /// Mean cosine between two prototypes of one class, mean over the classes; absent for heads without prototypes.
    pub cosine: Option<f64>,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Adapter, backend and driver.
    pub adapter: String,
    /// Steps.
    pub steps: u64,
    /// Wall time, of the part since it was resumed last.
    pub seconds: f64,
    /// Every evaluation; the last one is of all images.
    pub points: Vec<Point>,
    /// Images of the last evaluation.
    pub images: usize,
    /// Mean accuracy at the end, a fraction.
    pub macc: f64,
    /// The closest pair's cosine at the end, the largest over the classes.
    pub closest: Option<f64>,
    /// Effective prototypes per class at the end, mean over the classes.
    pub effective: Option<f64>,
}

impl Outcome {
    /// mIoU at the end, a fraction.
    pub fn miou(&self) -> f64 {
        self.points.last().map_or(f64::NAN, |point| point.miou)
    }

    /// Mean cosine at the end.
    pub fn cosine(&self) -> Option<f64> {
        self.points.last().and_then(|point| point.cosine)
    }
}

/// Reads `FOLDER/log.jsonl`; `None` where the run is not there or has not ended.
pub fn read(folder: &Path) -> Option<Outcome> {
    let text = std::fs::read_to_string(folder.join("log.jsonl")).ok()?;
    let mut out = Outcome {
        adapter: String::new(),
        steps: 0,
        seconds: 0.0,
        points: Vec::new(),
        images: 0,
        macc: f64::NAN,
        closest: None,
        effective: None,
    };
    let mut ended = false;
    for event in text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok()) {
        match event {
            Event::Start { adapter, steps, .. } => (out.adapter, out.steps) = (adapter, steps),
            Event::Evaluation { step, images, scores, .. } => {
                out.points.push(Point { step, miou: scores.miou, cosine: None });
                (out.images, out.macc) = (images, scores.macc);
            }
            Event::Prototypes { mean_cosine, classes, .. } => {
                let closest = classes.iter().map(|class| class.max).reduce(f64::max);
                // With one prototype per class there is no pair, and the log says 0.
                let pairs = mean_cosine.abs() + closest.unwrap_or(0.0).abs() > 1e-9;
                if let Some(point) = out.points.last_mut() {
                    point.cosine = pairs.then_some(mean_cosine);
                }
                out.closest = closest.filter(|_| pairs);
                let used: Vec<f64> = classes.iter().filter_map(|class| class.effective).collect();
                out.effective = Some(used.iter().sum::<f64>() / used.len().max(1) as f64);
            }
            Event::Done { step, seconds, .. } => (ended, out.seconds) = (step == out.steps, seconds),
            _ => {}
        }
    }
    ended.then_some(out)
}
