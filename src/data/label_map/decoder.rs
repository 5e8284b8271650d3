//! The label map as a table, for the pixels of a mask.

use std::collections::BTreeMap;

use crate::data::classes::Classes;
use crate::data::raw::{RawLabel, RawMask, RawPixels};

/// From raw labels to the labels in memory: class ids and the ignore index.
#[derive(Clone, Debug)]
pub(in crate::data) struct Decoder {
    /// By value; `None` for unknown ones, as is every value beyond the end.
    values: Vec<Option<u16>>,
    colors: BTreeMap<[u8; 3], u16>,
}

impl Decoder {
    /// Colours are those that the label map names and, for a class of which it names none, the class's own colour where no
    /// other class has the same.
    pub fn new(classes: &Classes) -> Self {
        let mut values = Vec::new();
        let mut colors = BTreeMap::new();
        for (&label, &meaning) in &classes.labels.entries {
            let meaning = meaning.unwrap_or(classes.ignore_index);
            match label {
                RawLabel::Value(value) => {
                    let value = usize::from(value);
                    values.resize(values.len().max(value + 1), None);
                    values[value] = Some(meaning);
                }
                RawLabel::Color(color) => {
                    colors.insert(color, meaning);
                }
            }
        }
        let mut num_with: BTreeMap<[u8; 3], usize> = BTreeMap::new();
        for class in &classes.classes {
            *num_with.entry(class.color).or_default() += 1;
        }
        for (class, own) in classes.classes.iter().zip(classes.labels.by_class()) {
            let named = own.iter().any(|label| matches!(label, RawLabel::Color(_)));
            if !named && num_with[&class.color] == 1 {
                colors.entry(class.color).or_insert(class.id);
            }
        }
        Self { values, colors }
    }

    /// The label in memory; `None` for an unknown raw label.
    pub fn meaning(&self, label: RawLabel) -> Option<u16> {
        match label {
            RawLabel::Value(value) => self.values.get(usize::from(value)).copied().flatten(),
            RawLabel::Color(color) => self.colors.get(&color).copied(),
        }
    }

    /// The labels of a whole mask; `None` where one of them is unknown.
    pub fn decode(&self, mask: &RawMask) -> Option<Vec<u16>> {
        match &mask.pixels {
            RawPixels::Values(values) => {
                values.iter().map(|&value| self.values.get(usize::from(value)).copied().flatten()).collect()
            }
            RawPixels::Colors(colors) => {
                let mut labels = Vec::with_capacity(colors.len());
                for run in colors.chunk_by(|a, b| a == b) {
                    labels.resize(labels.len() + run.len(), *self.colors.get(&run[0])?);
                }
                Some(labels)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_colours_become_classes_and_nothing_is_guessed() {
        let text = r##"{"ignore": [0, "#000000"], "classes": [
            {"id": 0, "name": "wall", "values": [1, 300], "color": [9, 9, 9]},
            {"id": 1, "name": "door", "values": ["7-8"], "color": [9, 9, 9], "mask_colors": ["#010203"]},
            {"id": 2, "name": "tree", "values": [2], "color": [0, 255, 0]}]}"##;
        let decoder = Decoder::new(&Classes::parse(text).unwrap());
        let mask = |pixels| RawMask { width: 1, height: 1, pixels };
        let values = |values: &[u16]| decoder.decode(&mask(RawPixels::Values(values.to_vec())));
        assert_eq!(values(&[0, 1, 300, 7, 8, 2]).unwrap(), [255, 0, 0, 1, 1, 2]);
        for unknown in [3, 255, 299, 301, 65535] {
            assert_eq!(values(&[1, unknown]), None, "{unknown}");
        }
        let colors = |colors: &[[u8; 3]]| decoder.decode(&mask(RawPixels::Colors(colors.to_vec())));
        assert_eq!(colors(&[[0; 3], [1, 2, 3], [1, 2, 3], [0, 255, 0]]).unwrap(), [255, 1, 1, 2]);
        assert_eq!(colors(&[[9, 9, 9]]), None, "two classes have this colour");
        assert_eq!(decoder.meaning(RawLabel::Color([9, 9, 9])), None);
    }
}
