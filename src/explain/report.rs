//! The report of a training run: one HTML file that needs nothing else, neither the network nor a server.
//!
//! Curves are inline SVG, pictures are JPEG as base64, style and the few lines of script are in the file; a content
//! security policy in its head forbids every outside resource. Without script only the read-out under the pointer is
//! missing. It follows the reader's light or dark setting and fits a phone.

mod classes;
mod curves;
mod health;
mod markup;
mod pictures;

use crate::error::Result;
use image::RgbImage;
use markup::{escape, percent};

/// Numbers over training steps: one chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The chart's headline.
    pub name: String,
    /// Unit of the values, printed after them as it stands; may be empty.
    pub unit: String,
    /// (step, value); points that are not finite are left out of the line, which the chart then says.
    pub points: Vec<(f64, f64)>,
}

/// One class of the result table. IoU and accuracy are fractions, 0..1.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassRow {
    /// Name of the class.
    pub name: String,
    /// Its colour in the data set.
    pub color: [u8; 3],
    /// IoU of the untrained model; `None` where it was not measured.
    pub iou_before: Option<f64>,
    /// IoU of the trained model; `None` for a class absent from the split.
    pub iou: Option<f64>,
    /// Share of the class's pixels that were found.
    pub acc: Option<f64>,
    /// Labelled pixels of the class in the split.
    pub pixels: u64,
}

/// One validation image, three or four ways, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// Name of the image.
    pub title: String,
    /// The photograph.
    pub image: RgbImage,
    /// The labels, in class colours.
    pub truth: RgbImage,
    /// The model's classes, in class colours.
    pub prediction: RgbImage,
    /// The nearest prototype of each pixel, in shades of the class's colour
    /// ([`prototype_map`](crate::explain::overlay::prototype_map)); absent for a model without.
    pub prototypes: Option<RgbImage>,
}

/// How the K prototypes of one class share its work.
#[derive(Clone, Debug, PartialEq)]
pub struct PrototypeHealth {
    /// Name of the class.
    pub class_name: String,
    /// Its colour in the data set.
    pub color: [u8; 3],
    /// Share of the class's pixels per prototype, K values that sum to 1 (all 0 where there was no pixel).
    pub usage: Vec<f64>,
    /// Mean cosine over the pairs of different prototypes.
    pub mean_cosine: f64,
    /// Highest cosine of two different prototypes.
    pub max_cosine: f64,
    /// exp of the entropy of `usage`: how many prototypes do the work, 1..K.
    pub effective: f64,
    /// K*K, row major: cosines of all pairs.
    pub cosines: Vec<f64>,
    /// A sentence of the caller's own.
    pub warning: Option<String>,
}

/// Everything that is in a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Headline and window title.
    pub title: String,
    /// Facts (label, value) under the headline: data set, architecture, steps, time, adapter.
    pub summary: Vec<(String, String)>,
    /// mIoU of the untrained model, a fraction.
    pub miou_before: Option<f64>,
    /// mIoU of the trained model, a fraction.
    pub miou: f64,
    /// Charts, in order: loss terms, learning rate, mIoU.
    pub curves: Vec<Curve>,
    /// Classes, in the model's order, which is that of `health`.
    pub classes: Vec<ClassRow>,
    /// Validation images.
    pub overlays: Vec<Overlay>,
    /// Prototypes, per class.
    pub health: Vec<PrototypeHealth>,
    /// The retrieval figure; shown at most 1600 pixels wide.
    pub figure: Option<RgbImage>,
    /// The command line that repeats the run.
    pub command: String,
}

/// The report as one HTML document.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) where a picture is empty or a class has other than K*K cosines for K usages.
pub fn html(report: &Report) -> Result<String> {
    let mut sections = vec![header(report)];
    let mut section = |title: &str, lead: &str, body: String| {
        if !body.is_empty() {
            let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"lead\">{lead}</p>") };
            sections.push(format!("<section><h2>{title}</h2>{lead}{body}</section>\n"));
        }
    };
    section("Training", "", curves::section(&report.curves));
    section("Classes", classes::LEAD, classes::section(&report.classes));
    section("Which prototype explains each pixel", "", pictures::figure(report.figure.as_ref())?);
    let overlays = pictures::section(&report.overlays, &report.classes, &report.health)?;
    section("Validation images", pictures::lead(&report.overlays), overlays);
    section("Prototypes", health::LEAD, health::section(&report.health)?);
    if !report.command.trim().is_empty() {
        section("Repeat this run", "", format!("<pre><code>{}</code></pre>", escape(&report.command)));
    }
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\
         <footer>protoseg {version}</footer>\n</main>\n<script>\n{script}</script>\n</body>\n</html>\n",
        title = escape(&report.title),
        style = include_str!("report/style.css"),
        body = sections.concat(),
        version = env!("CARGO_PKG_VERSION"),
        script = include_str!("report/script.js"),
    ))
}

fn header(report: &Report) -> String {
    let before = report.miou_before.map_or(String::new(), |b| {
        format!("<span class=\"was\">{}</span> <span class=\"arrow\">\u{2192}</span> ", percent(b))
    });
    let gain = report.miou_before.map_or(String::new(), |b| markup::change(b, report.miou));
    let facts: String = report
        .summary
        .iter()
        .map(|(label, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(label), escape(value)))
        .collect();
    let facts = if facts.is_empty() { facts } else { format!("<dl class=\"facts\">{facts}</dl>\n") };
    format!(
        "<header>\n<h1>{}</h1>\n<div class=\"hero\"><span class=\"label\">mean IoU</span>\
         <span class=\"value\">{before}<b>{}</b></span>{gain}</div>\n{facts}</header>\n",
        escape(&report.title),
        percent(report.miou),
    )
}

#[cfg(test)]
mod tests;
