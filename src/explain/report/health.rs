//! Are the prototypes alive? Usage bars, the cosine of every pair, and what is wrong in words.

use super::PrototypeHealth;
use super::markup::{css, escape, percent, short, swatch};
use crate::error::{Error, Result};
use crate::explain::palette::series;
use std::fmt::Write;

pub(super) const LEAD: &str = "Usage is the share of the class's pixels that lie nearest to each prototype. The square \
    holds the cosine of every pair: twins (above 0.98) are outlined. A prototype is called dead below a twentieth of an \
    equal share.";

/// Two prototypes with a higher cosine are twins.
const TWINS: f64 = 0.98;
/// A prototype with less than this part of an equal share is dead.
const DEAD: f64 = 0.05;

/// A card per class; empty without classes.
pub(super) fn section(health: &[PrototypeHealth]) -> Result<String> {
    if health.is_empty() {
        return Ok(String::new());
    }
    let cards = health.iter().map(card).collect::<Result<String>>()?;
    Ok(format!("<div class=\"cards\">{cards}</div>"))
}

fn card(class: &PrototypeHealth) -> Result<String> {
    let k = class.usage.len();
    if class.cosines.len() != k * k || k == 0 {
        let (name, n) = (&class.class_name, class.cosines.len());
        return Err(Error::shape(
            "report",
            format!("class `{name}` has {k} usages and {n} cosines, wanted K and K*K"),
        ));
    }
    let problems = problems(class);
    let verdict = if problems.is_empty() {
        let all =
            if k == 1 { "its one prototype is used".to_owned() } else { format!("all {k} used, no twins") };
        format!("<p class=\"verdict good\">{all}</p>")
    } else {
        problems.iter().map(|p| format!("<p class=\"verdict bad\">{}</p>", escape(p))).collect()
    };
    let cosines = if k == 1 {
        String::new()
    } else {
        let (mean, max) = (signed(class.mean_cosine), signed(class.max_cosine));
        format!("<p class=\"note\">cosine: mean {mean}, highest {max}</p>")
    };
    let matrix = if k == 1 { String::new() } else { heat_map(class, k) };
    Ok(format!(
        "<article class=\"card\"><h3>{}<span>{}</span><em>{} of {k} effective</em></h3>\
         <div class=\"inside\">{}{matrix}</div>{cosines}{verdict}</article>",
        swatch(class.color),
        escape(&class.class_name),
        if class.effective.is_finite() { format!("{:.1}", class.effective) } else { short(class.effective) },
        usage(class, k),
    ))
}

/// Everything that is wrong with the class's prototypes, one sentence each; prototypes count from 1 as in the figure.
fn problems(class: &PrototypeHealth) -> Vec<String> {
    let k = class.usage.len();
    let mut out = Vec::new();
    if class.usage.iter().all(|&u| u == 0.0) {
        out.push("no pixel of this class was seen".to_owned());
    } else {
        for (i, &u) in class.usage.iter().enumerate().filter(|(_, u)| u.is_nan() || **u < DEAD / k as f64) {
            out.push(format!("prototype {} is dead ({} of the pixels)", i + 1, percent(u)));
        }
    }
    for i in 0..k {
        for j in i + 1..k {
            let cosine = class.cosines[i * k + j];
            if cosine.is_nan() {
                out.push(format!("the cosine of prototypes {} and {} is not a number", i + 1, j + 1));
            } else if cosine > TWINS {
                out.push(format!("prototypes {} and {} are twins (cosine {cosine:.3})", i + 1, j + 1));
            }
        }
    }
    out.extend(class.warning.clone());
    out
}

fn signed(v: f64) -> String {
    if v.is_finite() {
        format!("{:.2}", if v.abs() < 0.005 { 0.0 } else { v }).replace('-', "\u{2212}")
    } else {
        "\u{2013}".to_owned()
    }
}

fn usage(class: &PrototypeHealth, k: usize) -> String {
    // Bars are relative to the busiest prototype: with K = 16 an equal share would be too short to compare.
    let most = class.usage.iter().copied().filter(|u| u.is_finite()).fold(1e-9, f64::max);
    let bars: String = class
        .usage
        .iter()
        .zip(series(k))
        .enumerate()
        .map(|(i, (&u, color))| {
            let width = if u.is_finite() { (u / most).clamp(0.0, 1.0) * 100.0 } else { 0.0 };
            format!(
                "<li><b>{}</b><span class=\"track\"><i class=\"fill\" style=\"width:{width:.1}%;background:{}\"></i>\
                 </span><span class=\"num\">{}</span></li>",
                i + 1,
                css(color),
                percent(u)
            )
        })
        .collect();
    format!("<ol class=\"usage\">{bars}</ol>")
}

/// The K x K cosines: the fuller the warm colour the nearer two prototypes are, cold where they point apart.
fn heat_map(class: &PrototypeHealth, k: usize) -> String {
    const SIDE: f64 = 132.0;
    const LABEL: f64 = 14.0;
    let cell = (SIDE - LABEL) / k as f64;
    let (mean, max) = (signed(class.mean_cosine), signed(class.max_cosine));
    let label =
        format!("cosines of the {k} prototypes of {}: mean {mean}, highest {max}", escape(&class.class_name));
    let mut svg =
        format!("<svg class=\"heat\" viewBox=\"0 0 {SIDE} {SIDE}\" role=\"img\" aria-label=\"{label}\">");
    let (mut labels, mut outlines) = (String::new(), String::new());
    for i in 0..k {
        let at = LABEL + (i as f64 + 0.5) * cell;
        if k <= 10 || i % 5 == 4 {
            let _ = write!(labels, "<text class=\"tick x\" x=\"{at:.1}\" y=\"9\">{}</text>", i + 1);
            let _ = write!(
                labels,
                "<text class=\"tick y\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LABEL - 4.0,
                at + 3.0,
                i + 1
            );
        }
        for j in 0..k {
            let v = class.cosines[i * k + j];
            let (x, y) = (LABEL + j as f64 * cell, LABEL + i as f64 * cell);
            let fill = if i == j {
                "same"
            } else if v < 0.0 {
                "cold"
            } else {
                "warm"
            };
            let opacity = if i == j || !v.is_finite() { 1.0 } else { v.abs().min(1.0).powi(2) * 0.92 + 0.08 };
            let _ = write!(
                svg,
                "<rect class=\"{fill}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill-opacity=\"{opacity:.2}\">\
                 <title>prototypes {} and {}: {}</title></rect>",
                x + 0.5,
                y + 0.5,
                cell - 1.0,
                cell - 1.0,
                i + 1,
                j + 1,
                signed(v)
            );
            if i != j && k <= 3 {
                let (cx, cy) = (x + cell / 2.0, y + cell / 2.0 + 3.5);
                let _ =
                    write!(labels, "<text class=\"cosine\" x=\"{cx:.1}\" y=\"{cy:.1}\">{}</text>", signed(v));
            }
            if i != j && v > TWINS {
                let _ = write!(
                    outlines,
                    "<rect class=\"twin\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{cell:.2}\" height=\"{cell:.2}\"/>"
                );
            }
        }
    }
    svg + &labels + &outlines + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(usage: Vec<f64>, cosines: Vec<f64>) -> PrototypeHealth {
        PrototypeHealth {
            class_name: "car".into(),
            color: [1, 2, 3],
            usage,
            mean_cosine: 0.2,
            max_cosine: 0.99,
            effective: 1.5,
            cosines,
            warning: None,
        }
    }

    #[test]
    fn twins_and_dead_prototypes_are_named() {
        let sick = class(vec![0.7, 0.299, 0.001], vec![1.0, 0.99, 0.1, 0.99, 1.0, -0.2, 0.1, -0.2, 1.0]);
        let html = card(&sick).expect("a card");
        assert!(html.contains("prototypes 1 and 2 are twins (cosine 0.990)"));
        assert!(html.contains("prototype 3 is dead (0.1\u{2009}% of the pixels)"));
        assert_eq!(html.matches("class=\"twin\"").count(), 2);
        assert!(!html.contains("verdict good"));
    }

    #[test]
    fn healthy_unseen_and_single_prototypes() {
        assert!(
            card(&class(vec![0.5, 0.5], vec![1.0, 0.1, 0.1, 1.0]))
                .expect("a card")
                .contains("all 2 used, no twins")
        );
        assert!(
            card(&class(vec![0.0, 0.0], vec![1.0, 0.1, 0.1, 1.0]))
                .expect("a card")
                .contains("no pixel of this class")
        );
        assert!(card(&class(vec![1.0], vec![1.0])).expect("a card").contains("its one prototype is used"));
    }

    #[test]
    fn numbers_that_are_none_are_said_and_wrong_lengths_refused() {
        let html = card(&class(vec![f64::NAN, 1.0], vec![1.0, f64::NAN, f64::NAN, 1.0])).expect("a card");
        assert!(
            html.contains("prototype 1 is dead") && html.contains("is not a number") && !html.contains("NaN")
        );
        assert!(card(&class(vec![1.0, 0.0], vec![1.0])).is_err());
        assert!(card(&class(vec![], vec![])).is_err());
    }
}
