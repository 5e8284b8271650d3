//! `report.html` of a run: curves, scores, overlays, prototypes' health, the figure.

use std::path::Path;

use protoseg::data::Dataset;
use protoseg::explain::overlay::{class_map, overlay, prototype_map};
use protoseg::explain::report::{ClassRow, Curve, Overlay, PrototypeHealth, Report, html};
use protoseg::infer::{Model, Prediction, Scores, evaluate};
use protoseg::proto::{ClassHealth, ONE_EFFECTIVE, SAME_COSINE};
use protoseg::train::{Config, Event};
use protoseg::words::counted;
use protoseg::{Result, fs_atomic};

use crate::{figure, prototypes};

/// Validation images whose overlays are shown, and whose pixels count for the prototypes' usage.
const NUM_OVERLAYS: usize = 4;
const NUM_COUNTED: usize = 24;
/// Images per class in the figure.
const FIGURE_ROWS: usize = 3;

/// Writes `report.html` and, for a model with prototypes, `figure.png` into the run folder: the best model, and what happened
/// on the way to it.
pub async fn write(
    config: &Config,
    out: &Path,
    history: &[Event],
    classes: &[String],
    mut model: Model,
) -> Result<()> {
    let data = config.data.open(&config.data.val)?;
    let has_prototypes = model.spec().head.kind.has_prototypes();
    let mut drawn = None;
    if has_prototypes {
        let figure = figure::draw(&mut model, &data, classes, FIGURE_ROWS).await?;
        figure::save_png(&figure, &out.join("figure.png"))?;
        drawn = Some(figure);
    }
    let mut overlays = Vec::new();
    let [num_classes, num_prototypes] = [model.spec().num_classes(), model.spec().net.prototypes];
    let mut counts = vec![0_u64; num_classes * num_prototypes];
    let num_counted = data.len().min(NUM_COUNTED);
    for index in 0..num_counted {
        let sample = data.load(index)?;
        let found = model.predict(&sample.image).await?;
        for (&c, &k) in found.classes.iter().zip(&found.prototypes) {
            counts[c as usize * num_prototypes + k as usize] += 1;
        }
        if index < NUM_OVERLAYS {
            overlays.push(show(&data, index, &sample, &found, num_prototypes)?);
        }
    }
    let scores = scores(&mut model, &data, history).await?;
    let report = Report {
        title: format!("protoseg: {}", model.spec().provenance.data),
        summary: summary(config, history, &model, num_counted),
        miou_before: before(history).map(|s| s.miou),
        miou: scores.miou,
        curves: curves(history, has_prototypes),
        classes: class_rows(before(history), &scores, &model),
        overlays,
        health: if has_prototypes { healths(&model, &counts).await? } else { Vec::new() },
        figure: drawn,
        command: std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" "),
    };
    let path = out.join("report.html");
    fs_atomic::write_atomic(&path, html(&report)?.as_bytes())
}

/// A word of a command as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The scores of the model over the whole split: those told while training, where it was measured on all of it then.
async fn scores(model: &mut Model, data: &Dataset, history: &[Event]) -> Result<Scores> {
    let step_of_model = model.spec().provenance.step;
    let told = history.iter().rev().find_map(|event| match event {
        Event::Evaluation { step, images, scores, .. } if *step == step_of_model && *images == data.len() => {
            Some(scores.clone())
        }
        _ => None,
    });
    if let Some(scores) = told {
        return Ok(scores);
    }
    let images: Vec<usize> = (0..data.len()).collect();
    let Model { predictor, store } = model;
    Ok(evaluate(predictor, store, data, &images, &mut |_| {}).await?.scores)
}

/// The scores of the untrained model, if they were measured.
fn before(history: &[Event]) -> Option<&Scores> {
    history.iter().find_map(|event| match event {
        Event::Evaluation { step: 0, scores, .. } => Some(scores),
        _ => None,
    })
}

fn show(
    data: &Dataset,
    index: usize,
    sample: &protoseg::data::Sample,
    found: &Prediction,
    num_prototypes: usize,
) -> Result<Overlay> {
    let image = figure::picture(&sample.image)?;
    let colors: Vec<[u8; 3]> = data.classes().classes.iter().map(|c| c.color).collect();
    let (width, height) = (found.width as u32, found.height as u32);
    let truth = class_map(&sample.mask.labels, width, height, &colors);
    let labels: Vec<u16> = found.classes.iter().map(|&c| c as u16).collect();
    let nearest = (found.classes.as_slice(), found.prototypes.as_slice());
    let in_shades = || prototype_map(nearest, width, height, &colors, num_prototypes);
    Ok(Overlay {
        title: data.samples()[index].name.clone(),
        truth: overlay(&image, &truth, 0.6),
        prediction: overlay(&image, &class_map(&labels, width, height, &colors), 0.6),
        prototypes: (!found.prototypes.is_empty()).then(|| overlay(&image, &in_shades(), 0.6)),
        image,
    })
}

fn summary(config: &Config, history: &[Event], model: &Model, num_counted: usize) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut row = |name: &str, value: String| out.push((name.to_owned(), value));
    // A run that was resumed has several starts, plans and ends: the last of each counts, and the times add up.
    let last = |pick: &dyn Fn(&Event) -> Option<String>| history.iter().rev().find_map(pick);
    let adapter = |e: &Event| match e {
        Event::Start { adapter, .. } => Some(adapter.clone()),
        _ => None,
    };
    let images = |e: &Event| match e {
        Event::Start { images: [train, val], .. } => Some(format!("{train} training, {val} validation")),
        _ => None,
    };
    let plan = |e: &Event| match e {
        Event::Plan { bytes, flops, .. } => {
            Some(format!("{:.1} GFLOP, {} MiB on the device", *flops as f64 / 1e9, bytes >> 20))
        }
        _ => None,
    };
    let steps = history.iter().filter_map(Event::step).max().unwrap_or(0);
    let seconds: f64 =
        history.iter().map(|e| if let Event::Done { seconds, .. } = e { *seconds } else { 0.0 }).sum();
    for (name, value) in [("Adapter", last(&adapter)), ("Images", last(&images)), ("Per step", last(&plan))] {
        row(name, value.unwrap_or_default());
    }
    row("Trained", format!("{steps} steps in {seconds:.0} s"));
    row("Model shown", format!("the best one, of step {}", model.spec().provenance.step));
    let kind = model.spec().head.kind;
    let set = |e: &Event| match e {
        Event::PrototypesSet { step, of, classes, .. } => {
            let set = classes.iter().map(|c| c.set).sum::<usize>();
            Some(format!("k-means of pixels before step {step} ({set} of {})", of * classes.len()))
        }
        _ => None,
    };
    if kind.has_prototypes() {
        row("Prototypes' start", last(&set).unwrap_or_else(|| "random directions".into()));
    }
    let revived = history.iter().filter_map(|e| match e {
        Event::PrototypesRevived { classes, .. } => Some(classes),
        _ => None,
    });
    let (moved, merged) =
        revived.flatten().fold((0, 0), |(moved, merged), c| (moved + c.set, merged + c.merged));
    if moved > merged {
        let unused = moved - merged;
        row("Prototypes revived", format!("{unused}, moved onto pixels because none was nearest to them"));
    }
    if merged > 0 {
        row("Prototypes merged", format!("{merged}, moved onto pixels because they were twins"));
    }
    if kind.has_prototypes() {
        row(
            "Prototypes' shares",
            format!("of the pixels predicted in {}", counted(num_counted, "validation image")),
        );
    }
    let net = &model.spec().net;
    let arch =
        serde_json::to_value(net.arch).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let head = if kind.has_prototypes() {
        format!("K = {} prototypes per class", net.prototypes)
    } else {
        format!("{} head", kind.name())
    };
    row("Network", format!("{arch}, D = {}, {head}", net.embedding));
    row(
        "Batch",
        format!(
            "{}{} of {}x{}",
            if config.train.accumulate > 1 {
                format!("{} x ", config.train.accumulate)
            } else {
                String::new()
            },
            counted(config.train.batch, "crop"),
            config.augment.crop_width,
            config.augment.crop_height
        ),
    );
    out
}

fn curves(history: &[Event], has_prototypes: bool) -> Vec<Curve> {
    let series = |name: &str, unit: &str, pick: fn(&Event) -> Option<(u64, f64)>| Curve {
        name: name.into(),
        unit: unit.into(),
        points: history.iter().filter_map(pick).map(|(step, y)| (step as f64, y)).collect(),
    };
    macro_rules! of_step {
        ($field:ident) => {
            |e| match e {
                Event::Step { step, $field, .. } => Some((*step, f64::from(*$field))),
                _ => None,
            }
        };
    }
    macro_rules! of_step_with {
        ($field:ident) => {
            |e| match e {
                Event::Step { step, $field: Some(value), .. } => Some((*step, f64::from(*value))),
                _ => None,
            }
        };
    }
    let mut out = vec![
        series("mIoU", "%", |e| match e {
            Event::Evaluation { step, scores, .. } => Some((*step, 100.0 * scores.miou)),
            _ => None,
        }),
        series("Total loss", "", of_step!(loss)),
        series("Cross-entropy", "", of_step!(ce)),
    ];
    if has_prototypes {
        out.push(series("Contrast (PPC)", "", of_step!(ppc)));
        out.push(series("Distance (PPD)", "", of_step!(ppd)));
        out.push(series("Prototypes at work per class", "", |e| match e {
            Event::Prototypes { step, classes, .. } => {
                let effective: Vec<f64> = classes.iter().filter_map(|c| c.effective).collect();
                let mean = effective.iter().sum::<f64>() / effective.len() as f64;
                (!effective.is_empty()).then_some((*step, mean))
            }
            _ => None,
        }));
        out.push(series("Cosine of a class's prototypes", "", |e| match e {
            Event::Prototypes { step, mean_cosine, .. } => Some((*step, *mean_cosine)),
            _ => None,
        }));
    }
    out.push(series("Learning rate", "", of_step!(lr)));
    // Only in runs with an auxiliary head, and with a bound.
    let optional = [
        series("Auxiliary head's loss", "", of_step_with!(aux)),
        series("Norm of the gradients", "", of_step_with!(grad_norm)),
    ];
    out.extend(optional.into_iter().filter(|curve| !curve.points.is_empty()));
    out
}

fn class_rows(before: Option<&Scores>, scores: &Scores, model: &Model) -> Vec<ClassRow> {
    let row = |(index, score): (usize, &protoseg::infer::ClassScore)| ClassRow {
        name: score.name.clone(),
        color: model.spec().classes.classes[index].color,
        iou_before: before.and_then(|s| s.classes[index].iou),
        iou: score.iou,
        acc: score.acc,
        pixels: score.pixels,
    };
    scores.classes.iter().enumerate().map(row).collect()
}

async fn healths(model: &Model, counts: &[u64]) -> Result<Vec<PrototypeHealth>> {
    let found = prototypes::of_model(model, counts).await?;
    let of_class = |(h, class): (ClassHealth, &protoseg::data::ClassInfo)| PrototypeHealth {
        class_name: class.name.clone(),
        color: class.color,
        warning: collapsed(&h).map(str::to_owned),
        usage: h.usage,
        mean_cosine: h.mean_cosine,
        max_cosine: h.max_cosine,
        effective: h.effective,
        cosines: h.cosines,
    };
    Ok(found.into_iter().zip(&model.spec().classes.classes).map(of_class).collect())
}

/// What is wrong with the prototypes as a whole.
fn collapsed(h: &ClassHealth) -> Option<&'static str> {
    let several = h.counts.len() > 1;
    if several && h.mean_cosine > SAME_COSINE {
        Some("They all point the same way: one would do.")
    } else if several && h.effective > 0.0 && h.effective < ONE_EFFECTIVE {
        Some("One of them does nearly all the work.")
    } else {
        None
    }
}
