//! The label map of a configuration, laid over the data set's own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::LabelMap;
use crate::data::classes::{ClassInfo, Classes, MAX_CLASSES, default_color, ignored_label};
use crate::data::raw::RawLabel;
use crate::error::{Error, Result};

/// What a configuration says about the labels of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Names of the classes in place of the data set's own list; empty to keep it.
    pub classes: Vec<String>,
    /// Meanings of raw labels in place of the data set's own.
    pub label_map: BTreeMap<String, String>,
}

/// What a label map says for pixels of no class.
const IGNORE: &str = "ignore";

impl Classes {
    /// The classes and label map that a configuration makes of these: its class list, and the entries of its map in place of
    /// what the data set says of the same raw labels. A key is a value, a range or a colour, as [`RawLabel::parse`] reads
    /// them; an entry is the name or id of a class, or `ignore`.
    ///
    /// # Errors
    /// [`Error::Config`] for a key or class that cannot be read, a raw label with two meanings, and a class that is left
    /// without a raw label.
    pub fn relabelled(&self, given: &Given) -> Result<Self> {
        let Given { classes: names, label_map: map } = given;
        if names.is_empty() && map.is_empty() {
            return Ok(self.clone());
        }
        let mut out = if names.is_empty() { self.clone() } else { self.renamed(names)? };
        out.labels.given = Some(given.clone());
        let mut said: BTreeMap<RawLabel, (&str, Option<u16>)> = BTreeMap::new();
        for (key, name) in map {
            let class = out.meant(key, name)?;
            let wrong = |problem| Error::config(format!("data.label_map: {problem}"), "correct the key");
            for label in RawLabel::parse(key).map_err(wrong)? {
                if let Some((other, _)) =
                    said.insert(label, (key, class)).filter(|&(_, other)| other != class)
                {
                    let problem =
                        format!("data.label_map gives {label} two meanings, by `{other}` and `{key}`");
                    return Err(Error::config(problem, "give each value one meaning"));
                }
            }
        }
        out.labels.entries.extend(said.into_iter().map(|(label, (_, class))| (label, class)));
        let raw_labels = out.labels.by_class();
        let without = |class: &&ClassInfo| raw_labels[usize::from(class.id)].is_empty();
        if let Some(class) = out.classes.iter().find(without) {
            return Err(Error::config(
                format!("data.label_map leaves the class `{}` without a raw value", class.name),
                "give it one, or list the other classes in data.classes",
            ));
        }
        let is_free = |value: &u16| !out.labels.entries.contains_key(&RawLabel::Value(*value));
        // One walk for all classes: what was passed is taken or means something.
        let mut free = (0..u16::MAX).filter(is_free);
        let mut values: Vec<u16> = Vec::new();
        for (class, list) in out.classes.iter().zip(&raw_labels) {
            values.push(own(&out.labels, class.id, list, &mut free));
        }
        out.labels.own = values;
        Ok(out)
    }

    /// Another list of classes: those with a known name keep colour and raw labels; the raw labels of the others become
    /// unknown until the label map says what they are.
    fn renamed(&self, names: &[String]) -> Result<Self> {
        let wrong = |problem: String| {
            Err(Error::config(problem, format!("list every class once, at most {MAX_CLASSES} of them")))
        };
        if names.len() > MAX_CLASSES {
            return wrong(format!("data.classes has {} names", names.len()));
        }
        let mut classes: Vec<ClassInfo> = Vec::new();
        let mut said = BTreeSet::new();
        let mut ids = BTreeMap::new();
        for (id, name) in (0u16..).zip(names) {
            let name = name.trim();
            if name.is_empty() || name == IGNORE || !said.insert(name) {
                return wrong(format!("data.classes has the name `{name}` twice, or it means no class"));
            }
            let known = self.named(name);
            ids.extend(known.map(|class| (class.id, id)));
            let color = known.map_or(default_color(id), |class| class.color);
            classes.push(ClassInfo { id, name: name.to_owned(), color });
        }
        let mut labels = self.labels.clone();
        labels.entries = (self.labels.entries.iter())
            .filter_map(|(&label, class)| match class {
                None => Some((label, None)),
                Some(class) => ids.get(class).map(|&id| (label, Some(id))),
            })
            .collect();
        labels.own = classes.iter().map(|class| class.id).collect();
        for (&old, &new) in &ids {
            labels.own[usize::from(new)] = self.labels.own_value(old);
        }
        Ok(Self { ignore_index: ignored_label(classes.len()), classes, labels })
    }

    /// The class that an entry of a label map names.
    fn meant(&self, key: &str, name: &str) -> Result<Option<u16>> {
        if name.trim() == IGNORE {
            return Ok(None);
        }
        let by_id = || self.classes.get(name.trim().parse::<usize>().ok()?);
        self.named(name).or_else(by_id).map(|class| Some(class.id)).ok_or_else(|| {
            Error::config(
                format!("data.label_map makes {key} the class `{name}`, which there is not"),
                format!("write {IGNORE} or one of: {}; data.classes makes another list", self.list()),
            )
        })
    }
}

/// The value that stands for a class: still the same one where it is still that class, else the lowest; for a class of
/// colours alone the next of `free`, values that mean nothing.
fn own(labels: &LabelMap, class: u16, raw_labels: &[RawLabel], free: &mut impl Iterator<Item = u16>) -> u16 {
    let before = labels.own[usize::from(class)];
    if labels.entries.get(&RawLabel::Value(before)) == Some(&Some(class)) {
        return before;
    }
    let value = |label: &RawLabel| match label {
        RawLabel::Value(value) => Some(*value),
        RawLabel::Color(_) => None,
    };
    raw_labels.iter().find_map(value).or_else(|| free.next()).unwrap_or(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::label_map::Decoder;

    fn base() -> Classes {
        let text = r#"{"ignore": [0], "classes": [{"id": 0, "name": "car", "values": [3], "color": [1, 2, 3]},
            {"id": 1, "name": "bus", "values": [5]}, {"id": 2, "name": "tree", "values": [7]}]}"#;
        Classes::parse(text).unwrap()
    }

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|&(key, name)| (key.to_owned(), name.to_owned())).collect()
    }

    #[test]
    fn values_are_merged_and_ignored_as_given() {
        let label_map = map(&[("8-9", "Bus"), ("1", "2"), ("3", "car"), ("2", "ignore")]);
        let given = base().relabelled(&Given { label_map, ..Given::default() }).unwrap();
        let decoder = Decoder::new(&given);
        let meanings = [0, 1, 2, 3, 4, 5, 7, 8, 9].map(|v| decoder.meaning(RawLabel::Value(v)));
        let expected = [255, 2, 255, 0, 254, 1, 2, 1, 1].map(|label| (label != 254).then_some(label));
        assert_eq!(meanings, expected);
        assert_eq!(given.labels.own, [3, 5, 7], "merged values are written as the data set's own");
        assert!(given.labels.given.is_some() && base().labels.given.is_none());
        assert_eq!(Classes::parse(&given.to_json()).unwrap(), given);
    }

    #[test]
    fn another_list_of_classes_leaves_the_rest_unknown_until_it_is_mapped() {
        let names = ["vehicle".to_owned(), "tree".to_owned()];
        let label_map = map(&[("3", "vehicle"), ("5", "vehicle")]);
        let vehicles = base().relabelled(&Given { classes: names.to_vec(), label_map }).unwrap();
        let decoder = Decoder::new(&vehicles);
        assert_eq!([0, 3, 5, 7].map(|v| decoder.meaning(RawLabel::Value(v)).unwrap()), [255, 0, 0, 1]);
        assert_eq!(vehicles.labels.own, [3, 7]);
        let given = Given { classes: names[1..].to_vec(), ..Given::default() };
        let trees = base().relabelled(&given).unwrap();
        let decoder = Decoder::new(&trees);
        assert_eq!([3, 5, 7].map(|v| decoder.meaning(RawLabel::Value(v))), [None, None, Some(0)]);
        assert_eq!(trees.classes[0].color, base().classes[2].color);
        let label_map = map(&[("#010203", "x"), ("#040506", "y")]);
        let names = ["x".to_owned(), "y".to_owned()];
        let colors = base().relabelled(&Given { classes: names.to_vec(), label_map }).unwrap();
        assert_eq!(colors.labels.own, [1, 2], "0 is ignored");
    }

    #[test]
    fn mistakes_are_answered_in_words() {
        let refused = |names: &[&str], entries: &[(&str, &str)], part: &str| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let message = base()
                .relabelled(&Given { classes: names, label_map: map(entries) })
                .unwrap_err()
                .to_string();
            assert!(message.contains(part) && !message.contains('\n'), "{part}: {message}");
        };
        refused(
            &[],
            &[("4", "truck")],
            "the class `truck`, which there is not; write ignore or one of: car, bus, tree",
        );
        refused(&[], &[("4", "3")], "the class `3`, which there is not");
        refused(&[], &[("x", "car")], "`x` is no raw label");
        refused(&[], &[("1-4", "car"), ("4", "bus")], "gives 4 two meanings, by `1-4` and `4`");
        refused(&[], &[("5", "car")], "leaves the class `bus` without a raw value");
        refused(&["thing"], &[], "leaves the class `thing` without a raw value");
        refused(&["car", "car"], &[], "has the name `car` twice");
    }
}
