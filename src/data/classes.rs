//! The classes of a data set: ids, names, colours, and which raw labels of its masks they are.

mod json;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::label_map::LabelMap;
use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use crate::words::listed;
use json::RawClasses;

/// The most classes of a data set: labels are numbers of 16 bits, and one of them stands for ignored pixels.
pub const MAX_CLASSES: usize = 65_535;

/// Names that a message lists: all of the usual data sets, not the thousands of a large vocabulary.
const MAX_LISTED: usize = 200;

/// The label of ignored pixels among `num_classes` classes, where nothing else is said: 255 as far as masks of 8 bits reach,
/// 65535 beyond.
#[must_use]
pub const fn ignored_label(num_classes: usize) -> u16 {
    if num_classes <= 255 { 255 } else { 65_535 }
}

/// One class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassInfo {
    /// The label of its pixels in memory, in `0..C`; [`Classes::labels`] says what they are in a mask file.
    pub id: u16,
    /// Its name, unique in the data set.
    pub name: String,
    /// Its colour in pictures, RGB.
    pub color: [u8; 3],
}

/// The classes of a data set in order of their ids, `0..C` without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawClasses", into = "RawClasses")]
pub struct Classes {
    /// The label, in memory, of pixels that belong to no class.
    pub ignore_index: u16,
    /// The classes; the position is the id.
    pub classes: Vec<ClassInfo>,
    /// Which raw labels of the mask files are which class.
    pub labels: LabelMap,
}

impl Classes {
    /// Reads `ROOT/classes.json` of the data set in `root`.
    ///
    /// # Errors
    /// As [`Classes::read`].
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::read(root.as_ref().join("classes.json"))
    }

    /// Reads a `classes.json`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Data`] where it is not JSON of the expected form, ids are
    /// not `0..C`, or a name is empty or used twice.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = disk::read_text(path).map_err(|e| Error::io("read the class names from", path, e))?;
        Self::parse(&text).map_err(|(problem, remedy)| Error::data(path, problem, remedy))
    }

    /// Parses the text of a `classes.json`, as a model's metadata holds it.
    ///
    /// # Errors
    /// The problem and its remedy, for the caller to name the file.
    pub fn parse(text: &str) -> std::result::Result<Self, (String, String)> {
        let bad = |reason: String| {
            let remedy = "write {\"ignore_index\": 255, \"classes\": [{\"id\": 0, \"name\": \"Sky\", \"color\": [128, 128, 128]}, ...]}";
            (format!("is not a list of classes ({reason})"), remedy.to_owned())
        };
        // Some editors of Windows put a byte order mark at the start.
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        // serde would take a list for the struct's fields in a row.
        if !text.trim_start().starts_with('{') {
            return Err(bad("it must be an object in braces".into()));
        }
        serde_json::from_str::<RawClasses>(text).map_err(|e| bad(e.to_string()))?.check()
    }

    /// Classes whose ids are the values in the masks, with [`ignored_label`] for ignored pixels.
    #[must_use]
    pub fn new(classes: Vec<ClassInfo>) -> Self {
        let ignore_index = ignored_label(classes.len());
        let labels = LabelMap::identity(classes.len(), ignore_index);
        Self { ignore_index, classes, labels }
    }

    /// Whether a colour was given to any class, so that pictures of colours can be masks.
    pub(super) fn has_colors(&self) -> bool {
        self.classes.iter().any(|class| class.color != default_color(class.id))
    }

    /// Writes a `classes.json`; the old file stays where that fails.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path, (self.to_json() + "\n").as_bytes())
    }

    /// The text of `classes.json`: what [`Classes::parse`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("class names and numbers always form JSON")
    }

    /// The number of classes, C.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Never true for classes that were read from a file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The class called `name`; capitals do not matter where that leaves one class.
    ///
    /// # Errors
    /// [`Error::Config`] naming the classes there are.
    pub fn by_name(&self, name: &str) -> Result<&ClassInfo> {
        self.named(name).ok_or_else(|| {
            Error::config(format!("there is no class `{name}`"), format!("choose among: {}", self.list()))
        })
    }

    /// What [`Classes::by_name`] finds.
    pub(super) fn named(&self, name: &str) -> Option<&ClassInfo> {
        if let Some(class) = self.classes.iter().find(|class| class.name == name) {
            return Some(class);
        }
        // Letter by letter: of thousands of classes nearly all differ in the first.
        let small = |name: &str| name.to_lowercase();
        let wanted = small(name.trim());
        let is_alike = |class: &&ClassInfo| {
            class.name.chars().flat_map(char::to_lowercase).next() == wanted.chars().next()
                && small(&class.name) == wanted
        };
        let mut alike = self.classes.iter().filter(is_alike);
        match (alike.next(), alike.next()) {
            (Some(class), None) => Some(class),
            _ => None,
        }
    }

    /// The names for a message.
    pub(super) fn list(&self) -> String {
        let names: Vec<&str> = self.classes.iter().map(|class| class.name.as_str()).collect();
        listed(&names, MAX_LISTED)
    }

    /// The label as training uses it: the class id, or -1 for the ignore index.
    #[must_use]
    pub fn training_label(&self, value: u16) -> i32 {
        if usize::from(value) < self.classes.len() { i32::from(value) } else { -1 }
    }
}

/// A colour for a class that names none: hues a golden ratio apart, so that neighbours differ whatever C is.
pub(super) fn default_color(id: u16) -> [u8; 3] {
    let hue = (f32::from(id) * 0.618_034).fract() * 6.0;
    let value = if id.is_multiple_of(2) { 230.0 } else { 170.0 };
    [5.0, 3.0, 1.0].map(|offset: f32| {
        let k = (offset + hue) % 6.0;
        (value * (1.0 - 0.75 * k.min(4.0 - k).clamp(0.0, 1.0))) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    fn problem(text: &str) -> String {
        let dir = TempDir::new("classes");
        let path = dir.join("classes.json");
        std::fs::write(&path, text).unwrap();
        let message = Classes::read(&path).unwrap_err().to_string();
        assert!(message.contains("classes.json"), "{message}");
        message
    }

    #[test]
    fn reads_sorts_fills_in_and_writes_the_same() {
        let text = r#"{"origin": "a tool", "classes": [{"id": 1, "name": "Car", "color": [1, 2, 3], "supercategory": 4},
            {"id": 0, "name": " Road "}, {"id": 2, "name": "car"}]}"#;
        let classes = Classes::parse(text).unwrap();
        assert_eq!(classes.ignore_index, 255);
        let names: Vec<&str> = classes.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["Road", "Car", "car"]);
        assert_eq!(classes.classes[1].color, [1, 2, 3]);
        assert_ne!(classes.classes[0].color, classes.classes[2].color);
        let dir = TempDir::new("classes");
        classes.write(dir.join("classes.json")).unwrap();
        assert_eq!(Classes::open(dir.path()).unwrap(), classes);
        assert_eq!(Classes::parse(&format!("\u{FEFF}{text}")).unwrap(), classes, "with a byte order mark");
        assert_eq!([0, 2, 3, 255].map(|value| classes.training_label(value)), [0, 2, -1, -1]);
    }

    #[test]
    fn labels_take_16_bits_from_256_classes_on() {
        for (count, ignored) in [(255, 255), (256, 65_535), (MAX_CLASSES, 65_535)] {
            let id = |id: usize| format!(r#"{{"id": {id}, "name": "{id}"}}"#);
            let list: Vec<_> = (0..count).map(id).collect();
            let classes = Classes::parse(&format!(r#"{{"classes": [{}]}}"#, list.join(","))).unwrap();
            assert_eq!((classes.len(), classes.ignore_index), (count, ignored));
            let labels = [0, count as u16 - 1, ignored];
            assert_eq!(labels.map(|label| classes.training_label(label)), [0, count as i32 - 1, -1]);
            assert_eq!(Classes::parse(&classes.to_json()).unwrap(), classes);
            assert_eq!(Classes::new(classes.classes.clone()), classes);
        }
    }

    /// The ignored value of a data set with values of its own is another one than that in memory.
    #[test]
    fn ids_as_values_with_an_ignored_value_elsewhere_come_back() {
        for ignore in [200, 65_535] {
            let text = format!(
                r#"{{"ignore": [{ignore}], "classes": [{{"id": 0, "name": "a", "values": [0]}},
                {{"id": 1, "name": "b", "values": [1]}}]}}"#
            );
            let classes = Classes::parse(&text).unwrap();
            assert_eq!(classes.ignore_index, 255);
            assert_eq!(Classes::parse(&classes.to_json()).unwrap(), classes);
        }
    }

    #[test]
    fn lookup_names_what_there_is() {
        let text =
            r#"{"classes": [{"id": 0, "name": "Road"}, {"id": 1, "name": "Car"}, {"id": 2, "name": "car"}]}"#;
        let classes = Classes::parse(text).unwrap();
        assert_eq!(classes.by_name("road").unwrap().id, 0);
        assert_eq!(classes.by_name("car").unwrap().id, 2);
        assert!(classes.by_name("CAR").is_err(), "two classes are meant equally well");
        let message = classes.by_name("Tree").unwrap_err().to_string();
        assert!(message.contains("`Tree`") && message.ends_with("Road, Car, car"), "{message}");
        let class = |id: u16| ClassInfo { id, name: format!("c{id}"), color: [0; 3] };
        let message = Classes::new((0..10_000).map(class).collect()).by_name("Tree").unwrap_err().to_string();
        assert!(message.ends_with("c199 and 9800 more"), "{message}");
    }

    #[test]
    fn bad_files_are_answered_in_words() {
        assert!(problem("{").contains("is not a list of classes"));
        for text in ["", "[]", "[255, []]", r#"[{"id": 0, "name": "a"}]"#, "\"classes\"", "null", "7"] {
            let message = problem(text);
            assert!(message.contains("must be an object in braces") && !message.contains("Raw"), "{message}");
        }
        for text in [r#"{"classes": ["a"]}"#, r#"{"classes": [[0]]}"#] {
            let message = problem(text);
            assert!(
                message.contains("an object with `id` and `name`") && !message.contains("Raw"),
                "{message}"
            );
        }
        assert!(problem(r#"{"classes": []}"#).contains("names no class"));
        assert!(problem(r#"{"classes": [{"id": 1, "name": "a"}]}"#).contains("id 1 where id 0"));
        let twice = r#"{"classes": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}"#;
        assert!(problem(twice).contains("id 0 where id 1"));
        assert!(problem(r#"{"classes": [{"id": -1, "name": "a"}]}"#).contains("id -1"));
        assert!(problem(r#"{"classes": [{"id": 0, "name": "  "}]}"#).contains("no name for class 0"));
        let same = r#"{"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "a"}]}"#;
        assert!(problem(same).contains("both class 0 and class 1 `a`"));
        assert!(
            problem(r#"{"ignore_index": 0, "classes": [{"id": 0, "name": "a"}]}"#).contains("label 0 both")
        );
        assert!(problem(r#"{"ignore_index": 70000, "classes": [{"id": 0, "name": "a"}]}"#).contains("70000"));
        let many = |count: usize, ignore_index: &str| {
            let list: Vec<_> = (0..count).map(|id| format!(r#"{{"id": {id}, "name": "{id}"}}"#)).collect();
            problem(&format!(r#"{{{ignore_index}"classes": [{}]}}"#, list.join(",")))
        };
        let message = many(70_000, "");
        assert!(
            message.contains("names 70000 classes; merge classes until there are at most 65535"),
            "{message}"
        );
        let message = many(300, r#""ignore_index": 255, "#);
        assert!(message.contains("label 255 both to the class `255`") && message.contains("usually 65535"));
        let dir = TempDir::new("classes");
        let message = Classes::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("cannot read the class names"), "{message}");
    }
}
