//! `classes.json`: what people and other tools write, and what we write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ClassInfo, Classes, MAX_CLASSES, default_color, ignored_label};
use crate::data::label_map::{Given, LabelMap};
use crate::data::layout::{Layout, MaskKind};
use crate::data::raw::{RawLabel, RawLabels, in_words};

/// `classes.json` as people write it: a colour may be left out, the ignore index too, and keys of other tools are
/// passed over. Ids are wide here so that 300 is answered by our sentence.
#[derive(Deserialize, Serialize)]
#[serde(expecting = "an object with a list `classes`")]
pub(super) struct RawClasses {
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_index: Option<i64>,
    #[serde(default, skip_serializing_if = "RawLabels::is_empty")]
    ignore: RawLabels,
    #[serde(default, skip_serializing_if = "is_default")]
    layout: Layout,
    #[serde(default = "values", skip_serializing_if = "is_values")]
    masks: MaskKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given: Option<Given>,
    classes: Vec<RawClass>,
}

#[derive(Deserialize, Serialize)]
#[serde(expecting = "an object with `id` and `name`")]
struct RawClass {
    id: i64,
    name: String,
    color: Option<[u8; 3]>,
    #[serde(default, skip_serializing_if = "RawLabels::is_empty")]
    values: RawLabels,
    #[serde(default, skip_serializing_if = "RawLabels::is_empty")]
    mask_colors: RawLabels,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn values() -> MaskKind {
    MaskKind::Values
}

fn is_values(kind: &MaskKind) -> bool {
    *kind == MaskKind::Values
}

/// A problem and its remedy.
type Answer<T> = Result<T, (String, String)>;

impl TryFrom<RawClasses> for Classes {
    type Error = String;

    fn try_from(raw: RawClasses) -> Result<Self, String> {
        raw.check().map_err(|(problem, remedy)| format!("the class list {problem}; {remedy}"))
    }
}

impl From<Classes> for RawClasses {
    fn from(classes: Classes) -> Self {
        let labels = &classes.labels;
        let identity = labels.is_identity() && labels.ignored_value() == Some(classes.ignore_index);
        let class = |(class, raw_labels): (&ClassInfo, Vec<RawLabel>)| {
            let own = RawLabel::Value(labels.own_value(class.id));
            let (mut values, mask_colors): (Vec<_>, Vec<_>) =
                raw_labels.into_iter().partition(|l| matches!(l, RawLabel::Value(_)));
            // The first one is that which is written.
            values.sort_by_key(|label| (*label != own, *label));
            RawClass {
                id: i64::from(class.id),
                name: class.name.clone(),
                color: Some(class.color),
                values: RawLabels(if identity { Vec::new() } else { values }),
                mask_colors: RawLabels(mask_colors),
            }
        };
        Self {
            ignore_index: identity.then_some(i64::from(classes.ignore_index)),
            ignore: RawLabels(if identity { Vec::new() } else { labels.raw_labels(None) }),
            layout: labels.layout,
            masks: labels.masks,
            given: labels.given.clone(),
            classes: classes.classes.iter().zip(labels.by_class()).map(class).collect(),
        }
    }
}

impl RawClasses {
    /// Checks what the JSON said.
    pub(super) fn check(mut self) -> Answer<Classes> {
        if self.classes.len() > MAX_CLASSES {
            let problem = format!("names {} classes", self.classes.len());
            return Err((problem, format!("merge classes until there are at most {MAX_CLASSES}")));
        }
        let none = ignored_label(self.classes.len());
        let explicit = self.classes.iter().any(|class| !class.values.is_empty());
        let mut ignored = self.ignore.0.clone();
        let mut ignore_index = none;
        if let Some(index) = self.ignore_index {
            let Ok(index) = u16::try_from(index) else {
                return Err((
                    format!("has the ignore index {index}"),
                    format!("choose a label in 0..=65535 that is no class, usually {none}"),
                ));
            };
            ignored.push(RawLabel::Value(index));
            // With values of their own the classes' ids say nothing about labels, and that one is never an id.
            ignore_index = if explicit { none } else { index };
        } else if !explicit {
            ignored.push(RawLabel::Value(none));
        }
        self.classes.sort_by_key(|class| class.id);
        let mut classes: Vec<ClassInfo> = Vec::with_capacity(self.classes.len());
        let mut names = BTreeMap::new();
        for (expected, class) in (0..).zip(&self.classes) {
            classes.push(checked(class, expected, &mut names, [ignore_index, none])?);
        }
        if classes.is_empty() {
            return Err(("names no class".into(), "list at least one class".into()));
        }
        let mut labels = self.labels(explicit, &ignored)?;
        (labels.layout, labels.masks, labels.given) = (self.layout, self.masks, self.given);
        Ok(Classes { ignore_index, classes, labels })
    }

    /// Every raw label that the file names, once.
    fn labels(&self, explicit: bool, ignored: &[RawLabel]) -> Answer<LabelMap> {
        let mut entries = BTreeMap::new();
        let mut own = Vec::new();
        for (id, class) in (0u16..).zip(&self.classes) {
            let by_id = [RawLabel::Value(id)];
            let values = if explicit { &class.values.0[..] } else { &by_id };
            let number = |label: &RawLabel| matches!(label, RawLabel::Value(_));
            if !values.iter().all(number) || class.mask_colors.0.iter().any(number) {
                return Err((
                    format!(
                        "has a colour among the `values` of `{}` or a number among its `mask_colors`",
                        class.name
                    ),
                    "write numbers in `values` and colours such as \"#402020\" in `mask_colors`".into(),
                ));
            }
            let Some(RawLabel::Value(first)) = values.first() else {
                return Err((
                    format!("gives `values` to other classes and none to `{}`", class.name),
                    "give every class the values that its pixels have in the masks, or no class any".into(),
                ));
            };
            own.push(*first);
            for &label in values.iter().chain(&class.mask_colors.0) {
                if let Some(Some(other)) = entries.insert(label, Some(id)).filter(|&other| other != Some(id))
                {
                    let other = &self.classes[usize::from(other)].name;
                    return Err((
                        format!("gives {label} both to `{other}` and to `{}`", class.name),
                        "give each value to one class".into(),
                    ));
                }
            }
        }
        for &label in ignored {
            if let Some(Some(class)) = entries.insert(label, None) {
                let name = &self.classes[usize::from(class)].name;
                return Err((
                    format!(
                        "gives the label {} both to the class `{name}` and to ignored pixels",
                        in_words(&[label])
                    ),
                    format!("ignore a value that is no class, usually {}", ignored_label(self.classes.len())),
                ));
            }
        }
        Ok(LabelMap::of_values(entries, own))
    }
}

/// The class that is to have the id `expected`, after those that have `names`. Of the two last numbers the first is the
/// label of ignored pixels, the second the one that it usually is.
fn checked<'a>(
    class: &'a RawClass,
    expected: u16,
    names: &mut BTreeMap<&'a str, u16>,
    [ignore_index, usual]: [u16; 2],
) -> Answer<ClassInfo> {
    let Some(id) = u16::try_from(class.id).ok().filter(|&id| id == expected) else {
        return Err((
            format!("has a class `{}` with id {} where id {expected} is expected", class.name, class.id),
            format!(
                "number the classes 0, 1, 2, ... without gap or repetition, at most {MAX_CLASSES} of them"
            ),
        ));
    };
    if id == ignore_index {
        return Err((
            format!("gives the label {id} both to the class `{}` and to ignored pixels", class.name),
            format!("choose an ignore_index that is no class, usually {usual}"),
        ));
    }
    let name = class.name.trim();
    if name.is_empty() {
        return Err((format!("has no name for class {id}"), "give every class a name".into()));
    }
    if let Some(other) = names.insert(name, id) {
        return Err((
            format!("names both class {other} and class {id} `{name}`"),
            "give every class a name of its own".into(),
        ));
    }
    Ok(ClassInfo { id, name: name.to_owned(), color: class.color.unwrap_or_else(|| default_color(id)) })
}
