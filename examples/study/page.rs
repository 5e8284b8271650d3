//! The page: tables and curves of what is finished.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

use crate::plan::{QUESTIONS, Question};
use crate::results::Outcome;

/// Outcomes by run and seed.
pub type Outcomes = BTreeMap<(&'static str, u32), Outcome>;

/// A label, and how many numbers are learned for each number of classes.
pub type Parameters = (&'static str, Vec<(usize, usize)>);

/// Dark enough on white, and apart for colour-blind eyes (Okabe and Ito).
const LINES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// A row that has no answer yet.
const OPEN: &str = "-";

/// The page as Markdown. `parameters` are the classifier's learnable ones.
pub fn markdown(outcomes: &Outcomes, command: &str, parameters: &[Parameters]) -> String {
    let mut page = String::from(
        "# The paper's claims on CamVid\n\nWritten by the program in `examples/study` from the logs of its runs.\n\n",
    );
    page.push_str(include_str!("findings.md"));
    page.push_str("\n## How\n\n");
    let adapters: Vec<&str> = distinct(outcomes.values().map(|o| o.adapter.as_str()));
    let steps: Vec<String> =
        distinct(outcomes.values().map(|o| o.steps)).iter().map(u64::to_string).collect();
    let seeds: Vec<String> = distinct(outcomes.keys().map(|key| key.1)).iter().map(u32::to_string).collect();
    let _ = writeln!(page, "* Command: `{command}`");
    let _ = writeln!(
        page,
        "* Every run is `examples/study/base.toml` with the keys of its row changed: MobileNetV2, {} steps of 6 crops of 160 x 224 pixels, seed {}.",
        steps.join(", "),
        seeds.join(", ")
    );
    let minutes = outcomes.values().map(|o| o.seconds).sum::<f64>() / 60.0;
    let (adapters, runs) = (adapters.join("; "), outcomes.len());
    let _ = writeln!(page, "* Adapter: {adapters}; {runs} runs took {minutes:.0} minutes in all.");
    page.push_str(
        "* mIoU and mAcc (%) are of the last step, not of the best one, on the whole validation split, one pass. Cosines are between prototypes \
         of one class: the mean over pairs and classes, and the closest pair of any class. Effective prototypes: exp of the entropy \
         of their shares of what is predicted as their class, mean over classes.\n\
         * These runs are short: differences of a point or two between single runs say little. More seeds are the honest remedy.\n\n",
    );
    for question in QUESTIONS {
        table(&mut page, question, outcomes);
    }
    page.push_str(
        "## Learnable parameters of the classifier\n\nExpected: 0 for the prototype head, whatever C is.\n\n",
    );
    let counts = parameters.first().map_or(&[][..], |row| &row.1);
    let heads: String = counts.iter().map(|(classes, _)| format!(" C = {classes} |")).collect();
    let _ = writeln!(page, "| head |{heads}\n|---|{}", "---|".repeat(counts.len()));
    for (head, row) in parameters {
        let cells: String = row.iter().map(|(_, count)| format!(" {count} |")).collect();
        let _ = writeln!(page, "| {head} |{cells}");
    }
    page.push_str(
        "\n## Curves\n\n`base` is the configuration unchanged: prototype head, K = 10, momentum 0.999, argmax, first fill.\n\n![mIoU over the steps](study/miou.svg)\n\n![Mean cosine between the prototypes of a class over the steps](study/cosine.svg)\n",
    );
    page
}

fn table(page: &mut String, question: &Question, outcomes: &Outcomes) {
    let _ = writeln!(page, "## {}\n\nExpected: {}.\n", question.title, question.expected);
    page.push_str(
        "| | mIoU | mAcc | mean cosine | closest pair | effective prototypes |\n|---|---|---|---|---|---|\n",
    );
    for (label, run) in question.rows {
        let of_run: Vec<&Outcome> =
            outcomes.iter().filter(|(key, _)| key.0 == *run).map(|(_, o)| o).collect();
        let mean = |value: &dyn Fn(&Outcome) -> Option<f64>, digits: usize| {
            let all: Vec<f64> = of_run.iter().filter_map(|o| value(o)).collect();
            if all.is_empty() {
                return OPEN.to_owned();
            }
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let each = all.iter().map(|x| format!("{x:.digits$}")).collect::<Vec<_>>().join(", ");
            if all.len() == 1 { each } else { format!("{mean:.digits$} ({each})") }
        };
        let _ = writeln!(
            page,
            "| {label} | {} | {} | {} | {} | {} |",
            mean(&|o| Some(100.0 * o.miou()), 2),
            mean(&|o| Some(100.0 * o.macc), 2),
            mean(&|o| o.cosine(), 3),
            mean(&|o| o.closest, 3),
            mean(&|o| o.effective, 2),
        );
    }
    page.push('\n');
}

/// Draws one line per run: mIoU (%) with `cosine` false, else the mean cosine.
pub fn curves(outcomes: &Outcomes, runs: &[&str], cosine: bool, path: &Path) -> Result<()> {
    let line = |outcome: &Outcome| -> Vec<(f64, f64)> {
        let value = |p: &crate::results::Point| if cosine { p.cosine } else { Some(100.0 * p.miou) };
        outcome.points.iter().filter_map(|p| Some((p.step as f64, value(p)?))).collect()
    };
    let first_seed =
        |run: &str| outcomes.iter().find(|(key, _)| key.0 == run).map(|(_, outcome)| line(outcome));
    let lines: Vec<(&str, Vec<(f64, f64)>)> = runs
        .iter()
        .filter_map(|run| Some((*run, first_seed(run)?)))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let all = || lines.iter().flat_map(|(_, line)| line.iter().copied());
    let last = all().map(|p| p.0).fold(1.0, f64::max);
    let (low, high) =
        all().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), p| (lo.min(p.1), hi.max(p.1)));
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    let pad = 0.05 * (high - low);
    let root = SVGBackend::new(path, (760, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let name = if cosine { "mean cosine of two prototypes of a class" } else { "validation mIoU %" };
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, low - pad..high + pad)?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc(name)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|value| if cosine { format!("{value:.3}") } else { format!("{value:.0}") })
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, (run, line)) in lines.iter().enumerate() {
        let style = LINES[index % LINES.len()].stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.iter().copied(), style))?
            .label(*run)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present().with_context(|| format!("cannot write `{}`", path.display()))
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for value in values {
        if !out.contains(&value) {
            out.push(value);
        }
    }
    out
}
