//! `report.html` of a run: curves, scores, overlays, prototypes' health, the figure.

use std::path::Path;
use std::sync::Arc;

use protoseg::data::Dataset;
use protoseg::explain::overlay::{class_map, overlay};
use protoseg::explain::palette;
use protoseg::explain::report::{ClassRow, Curve, Overlay, PrototypeHealth, Report, html};
use protoseg::gpu::Gpu;
use protoseg::infer::{Model, Prediction, Scores};
use protoseg::model::PROTOTYPES;
use protoseg::proto::{TWIN_COSINE, health};
use protoseg::train::{Config, Event};
use protoseg::{Result, fs_atomic};

use crate::figure;

/// Validation images whose overlays are shown, and whose pixels count for the prototypes' usage.
const NUM_OVERLAYS: usize = 4;
const NUM_COUNTED: usize = 24;
/// Images per class in the figure.
const FIGURE_ROWS: usize = 3;

/// Writes `report.html` and `figure.png` into the run folder, from the best model and what happened.
pub async fn write(
    gpu: &Arc<Gpu>,
    config: &Config,
    out: &Path,
    history: &[Event],
    classes: &[String],
) -> Result<()> {
    let mut model = Model::open(gpu, &out.join("best.safetensors"))?;
    let data = Dataset::open(&config.data.root, &config.data.val)?;
    let drawn = figure::draw(&mut model, &data, classes, FIGURE_ROWS).await?;
    figure::save_png(&drawn, &out.join("figure.png"))?;
    let mut overlays = Vec::new();
    let [num_classes, num_prototypes] = [model.spec().num_classes(), model.spec().net.prototypes];
    let mut counts = vec![0_u64; num_classes * num_prototypes];
    for index in 0..data.len().min(NUM_COUNTED) {
        let sample = data.load(index)?;
        let found = model.predict(&sample.image).await?;
        for (&c, &k) in found.classes.iter().zip(&found.prototypes) {
            counts[c as usize * num_prototypes + k as usize] += 1;
        }
        if index < NUM_OVERLAYS {
            overlays.push(show(&data, index, &sample, &found, num_prototypes)?);
        }
    }
    let report = Report {
        title: format!("protoseg: {}", model.spec().provenance.data),
        summary: summary(config, history, &model),
        miou_before: evaluations(history).first().filter(|e| e.0 == 0).map(|e| e.1.miou),
        miou: evaluations(history).last().map_or(0.0, |e| e.1.miou),
        curves: curves(history),
        classes: class_rows(history, &model),
        overlays,
        health: healths(gpu, &model, &counts).await?,
        figure: Some(drawn),
        command: std::env::args().collect::<Vec<_>>().join(" "),
    };
    let path = out.join("report.html");
    fs_atomic::write_atomic(&path, html(&report)?.as_bytes())?;
    say!("figure: {}/figure.png; report: {}", out.display(), path.display());
    Ok(())
}

fn evaluations(history: &[Event]) -> Vec<(u64, &Scores)> {
    let scores = |e| match e {
        &Event::Evaluation { step, ref scores, .. } => Some((step, scores)),
        _ => None,
    };
    history.iter().filter_map(scores).collect()
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
    let labels: Vec<u8> = found.classes.iter().map(|&c| c as u8).collect();
    let nearest: Vec<u8> = found.prototypes.iter().map(|&k| k as u8).collect();
    Ok(Overlay {
        title: data.samples()[index].name.clone(),
        truth: overlay(&image, &truth, 0.6),
        prediction: overlay(&image, &class_map(&labels, width, height, &colors), 0.6),
        prototypes: overlay(
            &image,
            &class_map(&nearest, width, height, &palette::series(num_prototypes)),
            0.6,
        ),
        image,
    })
}

fn summary(config: &Config, history: &[Event], model: &Model) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut row = |name: &str, value: String| out.push((name.to_owned(), value));
    for event in history {
        match event {
            Event::Start { adapter, images: [train, val], .. } => {
                row("Adapter", adapter.clone());
                row("Images", format!("{train} training, {val} validation"));
            }
            Event::Plan { bytes, flops, .. } => {
                row(
                    "Per step",
                    format!("{:.1} GFLOP, {} MiB on the device", *flops as f64 / 1e9, bytes >> 20),
                );
            }
            Event::Done { step, seconds, .. } => row("Trained", format!("{step} steps in {seconds:.0} s")),
            _ => {}
        }
    }
    let net = &model.spec().net;
    let arch =
        serde_json::to_value(net.arch).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    row("Network", format!("{arch}, D = {}, K = {} prototypes per class", net.embedding, net.prototypes));
    row(
        "Batch",
        format!(
            "{} crops of {}x{}",
            config.train.batch, config.augment.crop_width, config.augment.crop_height
        ),
    );
    out
}

fn curves(history: &[Event]) -> Vec<Curve> {
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
    vec![
        series("mIoU", "%", |e| match e {
            Event::Evaluation { step, scores, .. } => Some((*step, 100.0 * scores.miou)),
            _ => None,
        }),
        series("Total loss", "", of_step!(loss)),
        series("Cross-entropy", "", of_step!(ce)),
        series("Contrast (PPC)", "", of_step!(ppc)),
        series("Distance (PPD)", "", of_step!(ppd)),
        series("Learning rate", "", of_step!(lr)),
    ]
}

fn class_rows(history: &[Event], model: &Model) -> Vec<ClassRow> {
    let evaluations = evaluations(history);
    let before = evaluations.first().filter(|e| e.0 == 0).map(|e| e.1);
    let Some((_, last)) = evaluations.last() else { return Vec::new() };
    let row = |(index, score): (usize, &protoseg::infer::ClassScore)| ClassRow {
        name: score.name.clone(),
        color: model.spec().classes.classes[index].color,
        iou_before: before.and_then(|s| s.classes[index].iou),
        iou: score.iou,
        acc: score.acc,
        pixels: score.pixels,
    };
    last.classes.iter().enumerate().map(row).collect()
}

async fn healths(gpu: &Gpu, model: &Model, counts: &[u64]) -> Result<Vec<PrototypeHealth>> {
    let (shape, protos) = model.store.read(gpu, PROTOTYPES).await?;
    let found = health(&protos, counts, [shape[0], shape[1], shape[2]]);
    let of_class = |(h, class): (protoseg::proto::ClassHealth, &protoseg::data::ClassInfo)| PrototypeHealth {
        class_name: class.name.clone(),
        color: class.color,
        usage: h.usage,
        mean_cosine: h.mean_cosine,
        max_cosine: h.max_cosine,
        effective: h.effective,
        cosines: h.cosines,
        warning: (h.max_cosine > TWIN_COSINE).then(|| "Two prototypes have nearly become one.".to_owned()),
    };
    Ok(found.into_iter().zip(&model.spec().classes.classes).map(of_class).collect())
}
