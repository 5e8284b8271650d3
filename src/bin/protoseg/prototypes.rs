//! The prototypes' health in words and JSON.

use protoseg::Result;
use protoseg::infer::Model;
use protoseg::model::PROTOTYPES;
use protoseg::proto::{ClassHealth, health};
use protoseg::train::{ClassPrototypes, SetPrototypes};
use serde::Serialize;

/// `prototypes` of `eval --json`.
#[derive(Serialize)]
pub struct Document<'a> {
    /// K.
    per_class: usize,
    /// Mean over the classes that are predicted somewhere.
    effective: Option<f64>,
    /// Mean over the classes.
    mean_cosine: f64,
    classes: Vec<ClassDocument<'a>>,
}

#[derive(Serialize)]
struct ClassDocument<'a> {
    name: &'a str,
    /// Share of each prototype in what is predicted as the class; `null` where nothing is.
    usage: Option<&'a [f64]>,
    /// exp of the entropy of these shares, 1..K.
    effective: Option<f64>,
    /// Cosine of two prototypes: mean over the pairs, and the closest pair's; `null` with one prototype.
    mean_cosine: Option<f64>,
    max_cosine: Option<f64>,
}

/// Health of a model's prototypes, which share the work as counted in `usage [C,K]`.
pub async fn of_model(model: &Model, usage: &[u64]) -> Result<Vec<ClassHealth>> {
    let (shape, protos) = model.store.read(model.predictor.gpu(), PROTOTYPES).await?;
    Ok(health(&protos, usage, [shape[0], shape[1], shape[2]]))
}

pub fn document<'a>(names: &'a [String], found: &'a [ClassHealth]) -> Document<'a> {
    let class = |(name, h): (&'a String, &'a ClassHealth)| {
        let (seen, pairs) = (h.effective > 0.0, h.counts.len() > 1);
        ClassDocument {
            name,
            usage: seen.then_some(&h.usage[..]),
            effective: seen.then_some(h.effective),
            mean_cosine: pairs.then_some(h.mean_cosine),
            max_cosine: pairs.then_some(h.max_cosine),
        }
    };
    Document {
        per_class: found.first().map_or(0, |h| h.counts.len()),
        effective: mean(found.iter().filter(|h| h.effective > 0.0).map(|h| h.effective)),
        mean_cosine: mean(found.iter().map(|h| h.mean_cosine)).unwrap_or(0.0),
        classes: names.iter().zip(found).map(class).collect(),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), x| (sum + x, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// A table for a person: shares in the order of the prototypes, which is that of the figure.
pub fn print(names: &[String], found: &[ClassHealth]) {
    say!("{:24} {:>9} {:>9} {:>9}  share of each prototype %", "class", "effective", "mean cos", "max cos");
    for (name, h) in names.iter().zip(found) {
        let cosine = |x: f64| if h.counts.len() > 1 { format!("{x:.3}") } else { "none".into() };
        let (effective, shares) = if h.effective > 0.0 {
            let shares: Vec<String> = h.usage.iter().map(|share| format!("{:.1}", 100.0 * share)).collect();
            (format!("{:.2}", h.effective), shares.join(" "))
        } else {
            ("none".into(), "not predicted in these images".into())
        };
        let (mean, max) = (cosine(h.mean_cosine), cosine(h.max_cosine));
        say!("{name:24} {effective:>9} {mean:>9} {max:>9}  {shares}");
    }
}

/// One line after an evaluation; none where a class has one prototype.
pub fn line(mean_cosine: f64, classes: &[ClassPrototypes]) -> Option<String> {
    let of = classes.first().map_or(0, |class| class.usage.len());
    let closest = classes.iter().max_by(|a, b| a.max.total_cmp(&b.max)).filter(|_| of > 1)?;
    let cosines = format!("cosine {mean_cosine:.2}, closest pair {:.3} ({})", closest.max, closest.name);
    let counted = classes.iter().filter_map(|class| Some((class.effective?, &class.name)));
    let Some(mean) = mean(counted.clone().map(|c| c.0)) else {
        return Some(format!("prototypes: {cosines}"));
    };
    let least = counted.min_by(|a, b| a.0.total_cmp(&b.0));
    let least = least.map_or(String::new(), |(x, name)| format!(", least {x:.1} ({name})"));
    Some(format!("prototypes: {mean:.1} of {of} per class at work{least}; {cosines}"))
}

/// What was moved onto pixels, by class.
pub fn moved(classes: &[SetPrototypes]) -> String {
    let class = |c: &SetPrototypes| match (c.set - c.merged, c.merged) {
        (unused, 0) => format!("{} ({unused} unused)", c.name),
        (0, twins) => format!("{} ({twins} twins)", c.name),
        (unused, twins) => format!("{} ({unused} unused, {twins} twins)", c.name),
    };
    classes.iter().map(class).collect::<Vec<_>>().join(", ")
}
