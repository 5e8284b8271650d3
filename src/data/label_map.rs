//! The label map: which class each raw label of a data set's masks is, or that it is ignored. Whatever it does not name is
//! unknown and stops training: no value is ever shifted or guessed.

mod decoder;
mod given;

use std::collections::BTreeMap;

use super::layout::{Layout, MaskKind};
use super::raw::{RawLabel, in_words};

pub(super) use decoder::Decoder;
pub use given::Given;

/// Raw label -> class id, or `None` for ignored, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// The layout of the data set that the map belongs to.
    pub layout: Layout,
    /// The kind of its masks.
    pub masks: MaskKind,
    /// What a configuration changed in the data set's own map.
    pub given: Option<Given>,
    pub(super) entries: BTreeMap<RawLabel, Option<u16>>,
    /// What stands for each class in a mask that is written: its first value.
    pub(super) own: Vec<u16>,
}

impl LabelMap {
    /// Values that are class ids, and one that is ignored: the plain folder's map.
    #[must_use]
    pub fn identity(num_classes: usize, ignore_index: u16) -> Self {
        let id = |class: usize| (RawLabel::Value(class as u16), Some(class as u16));
        let mut entries: BTreeMap<RawLabel, Option<u16>> = (0..num_classes).map(id).collect();
        entries.insert(RawLabel::Value(ignore_index), None);
        Self {
            layout: Layout::Folder,
            masks: MaskKind::Values,
            given: None,
            entries,
            own: (0..num_classes as u16).collect(),
        }
    }

    /// Each class's own value, first the one that is written, and the labels that are ignored.
    pub(super) fn of_values(
        values: impl IntoIterator<Item = (RawLabel, Option<u16>)>,
        own: Vec<u16>,
    ) -> Self {
        Self { entries: values.into_iter().collect(), own, ..Self::identity(0, 255) }
    }

    /// The raw labels of a class, or those that are ignored for `None`, in their order.
    #[must_use]
    pub fn raw_labels(&self, class: Option<u16>) -> Vec<RawLabel> {
        let of_class = self.entries.iter().filter(|&(_, &meaning)| meaning == class);
        of_class.map(|(&label, _)| label).collect()
    }

    /// Whether every value is the id of its class and one more value is ignored.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        let ignored = self.raw_labels(None);
        match ignored[..] {
            [RawLabel::Value(value)] => self.entries == Self::identity(self.own.len(), value).entries,
            _ => false,
        }
    }

    /// Whether every class is written as its id, whatever else is read as it.
    pub(super) fn is_known_as_ids(&self) -> bool {
        self.own.iter().zip(0..).all(|(&value, id)| value == id)
    }

    /// The value that stands for a class in the data set's own masks. A label that is no class becomes an ignored value.
    #[must_use]
    pub fn own_value(&self, class: u16) -> u16 {
        let ignored = || self.ignored_value().unwrap_or(class);
        self.own.get(usize::from(class)).copied().unwrap_or_else(ignored)
    }

    /// The lowest value that is ignored.
    pub(super) fn ignored_value(&self) -> Option<u16> {
        self.entries.iter().find_map(|(label, meaning)| match (label, meaning) {
            (RawLabel::Value(value), None) => Some(*value),
            _ => None,
        })
    }

    /// The raw labels of every class, each class's in their order: one look at the map, where [`LabelMap::raw_labels`] of
    /// every class would be as many as there are classes.
    pub(super) fn by_class(&self) -> Vec<Vec<RawLabel>> {
        let mut lists = vec![Vec::new(); self.own.len()];
        for (&label, meaning) in &self.entries {
            if let Some(list) = meaning.and_then(|class| lists.get_mut(usize::from(class))) {
                list.push(label);
            }
        }
        lists
    }

    /// Whether the map names a colour.
    pub(super) fn has_colors(&self) -> bool {
        self.entries.keys().any(|label| matches!(label, RawLabel::Color(_)))
    }

    /// What the map knows, for a sentence: `0..=33, 255`.
    pub(super) fn known(&self) -> String {
        let values = self.entries.keys().filter(|label| matches!(label, RawLabel::Value(_)));
        in_words(&values.copied().collect::<Vec<_>>())
    }
}
