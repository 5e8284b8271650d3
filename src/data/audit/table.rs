//! One split of an audit as a table: its classes with their raw labels, and what else its masks hold.

use std::collections::BTreeMap;
use std::fmt;

use super::{SplitAudit, ValueUse};
use crate::data::classes::Classes;
use crate::data::raw::{RawLabel, in_words};
use crate::words::counted;

/// Raw labels of a class that are listed at most, in characters.
const MAX_VALUES: usize = 24;
/// Masks that are listed.
const NUM_MASKS: usize = 3;

pub(super) struct SplitTable<'a> {
    pub split: &'a SplitAudit,
    pub classes: &'a Classes,
}

impl fmt::Display for SplitTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = self.split;
        write!(f, "split {}: {}", split.split, counted(split.num_images, "image"))?;
        for (i, size) in split.sizes.iter().take(3).enumerate() {
            let lead = if i == 0 { ": " } else { ", " };
            write!(f, "{lead}{} of {} x {}", size.num_images, size.width, size.height)?;
        }
        if split.sizes.len() > 3 {
            write!(f, " and {}", counted(split.sizes.len() - 3, "more size"))?;
        }
        let width = split.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(7);
        let labels = &self.classes.labels;
        let values: Vec<String> = labels.by_class().iter().map(|labels| values_of(labels)).collect();
        let ignored = values_of(&labels.raw_labels(None));
        let wide = values.iter().chain([&ignored]).map(String::len).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "\n  {:>3}  {:<width$}  {:>wide$}  {:>14}  {:>13}  {:>6}",
            "id", "class", "value", "pixels", "% of labelled", "images"
        )?;
        for (class, values) in split.classes.iter().zip(&values) {
            writeln!(
                f,
                "  {:>3}  {:<width$}  {values:>wide$}  {:>14}  {:>13.2}  {:>6}",
                class.id,
                class.name,
                class.pixels,
                class.share * 100.0,
                class.num_images
            )?;
        }
        writeln!(
            f,
            "       {:<width$}  {ignored:>wide$}  {:>14}  ({:.2} % of all pixels)",
            "ignored",
            split.ignored_pixels,
            split.ignored_share * 100.0
        )?;
        self.histogram(f)?;
        self.most_ignored(f)
    }
}

/// Raw labels, of a class or of what is ignored, as far as there is room.
fn values_of(labels: &[RawLabel]) -> String {
    let text = in_words(labels);
    let cut = text.char_indices().nth(MAX_VALUES).map_or(text.len(), |(at, _)| at);
    if cut < text.len() { format!("{}...", &text[..cut]) } else { text }
}

impl SplitTable<'_> {
    /// Raw labels one by one, where the rows of the classes do not show them already.
    fn histogram(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut num_of: BTreeMap<(Option<u16>, bool), usize> = BTreeMap::new();
        for value in &self.split.values {
            *num_of.entry((value.class, value.ignored)).or_default() += 1;
        }
        let several = |value: &ValueUse| num_of[&(value.class, value.ignored)] > 1;
        let shown = |value: &&ValueUse| value.class.is_none() && !value.ignored || several(value);
        for value in self.split.values.iter().filter(shown) {
            let class = value.class.map(|id| self.classes.classes[usize::from(id)].name.as_str());
            let meaning = class.unwrap_or(if value.ignored { "ignored" } else { "unknown" });
            let (pixels, masks) = (counted(value.pixels as usize, "pixel"), counted(value.num_masks, "mask"));
            writeln!(f, "  value {}: {pixels} in {masks}, {meaning}", value.value)?;
        }
        Ok(())
    }

    fn most_ignored(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |mask: &super::IgnoredPixels| format!("{} ({:.1} %)", mask.mask, 100.0 * mask.share);
        let masks: Vec<String> = self.split.most_ignored.iter().take(NUM_MASKS).map(told).collect();
        if masks.is_empty() { Ok(()) } else { writeln!(f, "  ignored most: {}", masks.join(", ")) }
    }
}
