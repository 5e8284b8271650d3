//! Labels that mean nothing: one rule and one sentence for the audit of a data set and for whoever reads a single mask.

use super::audit::ValueCount;
use super::classes::Classes;

/// Pixels per label value.
pub type Histogram = [u64; 256];

/// What to do about a mask with such labels.
pub const REMEDY: &str = "correct the mask, or add the missing class to classes.json";

/// Counts the labels of a mask.
pub fn count(labels: &[u8]) -> Box<Histogram> {
    let mut histogram = Box::new([0; 256]);
    for &label in labels {
        histogram[usize::from(label)] += 1;
    }
    histogram
}

/// The labels that are neither a class nor the ignore index, by value.
pub fn unknown(histogram: &Histogram, classes: &Classes) -> Vec<ValueCount> {
    let means_nothing = |value: u8| usize::from(value) >= classes.len() && value != classes.ignore_index;
    let values = (0..=u8::MAX).zip(histogram).filter(|&(value, &pixels)| pixels > 0 && means_nothing(value));
    values.map(|(value, &pixels)| ValueCount { value, pixels }).collect()
}

/// What is wrong with a mask that holds `values`.
pub fn describe(values: &[ValueCount], num_classes: usize, ignore_index: u8) -> String {
    let named =
        values.iter().take(5).map(|v| format!("{} ({})", v.value, counted(v.pixels as usize, "pixel")));
    let named = named.collect::<Vec<_>>().join(", ");
    let others = match values.len().saturating_sub(5) {
        0 => String::new(),
        count => format!(" and {}", counted(count, "more value")),
    };
    let last = num_classes - 1;
    format!("has the value {named}{others} where classes.json names 0..={last} and ignores {ignore_index}")
}

/// "1 image", "2 images".
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
