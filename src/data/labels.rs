//! Raw labels that mean nothing: one rule and one sentence for the audit of a data set and for whoever reads a single mask.

use std::collections::BTreeMap;

use super::audit::ValueCount;
use super::classes::Classes;
use super::label_map::Decoder;
use super::layout::Layout;
use super::raw::{Occurrence, RawLabel};
use crate::words::counted;

/// What is wrong with a split without an image.
pub const EMPTY: &str = "holds no image";

/// Unknown raw labels of one mask that are named at most; a photograph has as many colours as pixels.
const NUM_NAMED: usize = 32;

/// The raw labels of one mask that the label map does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Pixels with such a label.
    pub pixels: u64,
    /// The most frequent ones.
    pub values: Vec<ValueCount>,
    /// How many more there are.
    pub num_others: usize,
}

/// The labels among `counts` that mean nothing, the most frequent first.
pub fn unknown(counts: &BTreeMap<RawLabel, Occurrence>, decoder: &Decoder) -> Unknown {
    let mut values: Vec<ValueCount> = (counts.iter())
        .filter(|&(&label, _)| decoder.meaning(label).is_none())
        .map(|(&value, found)| ValueCount { value, pixels: found.pixels, first: found.first })
        .collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.pixels));
    let pixels = values.iter().map(|value| value.pixels).sum();
    let num_others = values.len().saturating_sub(NUM_NAMED);
    values.truncate(NUM_NAMED);
    Unknown { pixels, values, num_others }
}

/// What is wrong with a mask that holds such labels, and what to do.
pub fn describe(unknown: &Unknown, classes: &Classes) -> (String, String) {
    let named = unknown.values.iter().take(5).map(|v| {
        let [x, y] = v.first;
        format!("{} ({}, first at x {x}, y {y})", v.value, counted(v.pixels as usize, "pixel"))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let others = match unknown.values.len().saturating_sub(5) + unknown.num_others {
        0 => String::new(),
        count => format!(" and {}", counted(count, "more value")),
    };
    let labels = &classes.labels;
    let own = labels.layout == Layout::Folder;
    let colors = || {
        unknown.values.iter().filter_map(|v| match v.value {
            RawLabel::Color(color) => Some(color),
            RawLabel::Value(_) => None,
        })
    };
    if colors().next().is_none() {
        let known = if own && labels.given.is_none() && labels.is_identity() {
            format!("where classes.json names 0..={} and ignores {}", classes.len() - 1, classes.ignore_index)
        } else {
            format!("where the label map knows {}", labels.known())
        };
        let class = if own { "add the missing class to classes.json, " } else { "" };
        let remedy = format!(
            "correct the mask, {class}or say in data.label_map which class the value is, or `ignore`"
        );
        return (format!("has the value {named}{others} {known}"), remedy);
    }
    if !classes.has_colors() && !labels.has_colors() {
        let problem = format!("is an RGB picture with the colour {named}{others}, and no class has a colour");
        return (problem, "give the classes their mask's colours (`color` in classes.json), list the colours in data.label_map, \
            or save the mask with class ids as values".into());
    }
    let grey = colors().all(|[r, g, b]| r == g && g == b);
    let remedy = if grey {
        "save the mask as a grey PNG if its greys are class ids, or list the colours in data.label_map"
    } else {
        "correct the mask, or say in data.label_map which class the colour is, or `ignore`"
    };
    (format!("has the RGB colour {named}{others}, which no class has"), remedy.into())
}
