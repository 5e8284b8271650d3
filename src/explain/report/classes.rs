//! The result table: a bar per class with a mark where the untrained model stood.

use super::ClassRow;
use super::markup::{change, count, css, escape, percent, swatch};

pub(super) const LEAD: &str =
    "IoU on the validation split: the bar is the trained model, the mark the untrained one.";

/// The table; empty without classes.
pub(super) fn section(classes: &[ClassRow]) -> String {
    if classes.is_empty() {
        return String::new();
    }
    let total = classes.iter().map(|c| c.pixels).sum::<u64>().max(1) as f64;
    let rows: String = classes.iter().map(|c| row(c, total)).collect();
    format!(
        "<table class=\"classes\"><thead><tr><th scope=\"col\">class</th><th scope=\"col\">IoU</th>\
         <th scope=\"col\" class=\"num\">before</th><th scope=\"col\" class=\"num\">after</th>\
         <th scope=\"col\" class=\"num\">change</th><th scope=\"col\" class=\"num\">accuracy</th>\
         <th scope=\"col\" class=\"num\">pixels</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn row(class: &ClassRow, total: f64) -> String {
    let (color, name) = (swatch(class.color), escape(&class.name));
    let name = format!("<th scope=\"row\" class=\"name\">{color}<span>{name}</span></th>");
    let Some(iou) = class.iou.filter(|v| v.is_finite()) else {
        return format!(
            "<tr class=\"absent\">{name}<td colspan=\"6\" class=\"why\">absent from the split</td></tr>"
        );
    };
    let width = |v: f64| (v.clamp(0.0, 1.0) * 100.0).min(99.6);
    let before = class.iou_before.filter(|v| v.is_finite());
    let mark =
        before.map_or(String::new(), |b| format!("<i class=\"mark\" style=\"left:{:.1}%\"></i>", width(b)));
    let bar = format!(
        "<span class=\"track\"><i class=\"fill\" style=\"width:{:.1}%;background:{}\"></i>{mark}</span>",
        width(iou),
        css(class.color)
    );
    let dash = || "\u{2013}".to_owned();
    format!(
        "<tr>{name}<td class=\"bar\">{bar}</td><td class=\"num quiet before\" data-label=\"before\">{}</td>\
         <td class=\"num after\"><b>{}</b></td><td class=\"num delta\">{}</td>\
         <td class=\"num quiet acc\" data-label=\"accuracy\">{}</td>\
         <td class=\"num quiet pixels\" data-label=\"pixels\" title=\"{} pixels\">{} <small>{}</small></td></tr>",
        before.map_or_else(dash, percent),
        percent(iou),
        before.map_or_else(dash, |b| change(b, iou)),
        class.acc.map_or_else(dash, percent),
        class.pixels,
        count(class.pixels),
        percent(class.pixels as f64 / total),
    )
}
