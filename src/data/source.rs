//! A data set on disk: which layout it has, what its masks hold, what its classes are, and the files of its splits.

use std::path::{Path, PathBuf};

use super::classes::Classes;
use super::label_map::{Given, LabelMap};
use super::layout::{Layout, MaskKind, SplitFiles};
use crate::disk;
use crate::error::{Error, Result};

/// The names of splits that people use, and what layouts call them.
const USUAL_NAMES: [(&str, [&str; 2]); 2] =
    [("train", ["training", "train2017"]), ("val", ["validation", "val2017"])];

/// What is said of a data set beyond its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataOptions {
    /// The layout; `None` for the one that the folder has.
    pub layout: Option<Layout>,
    /// The kind of masks that are read.
    pub masks: MaskKind,
    /// What is changed in the data set's own label map; see [`Classes::relabelled`].
    pub given: Given,
}

/// A data set whose layout is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The folder that was given.
    root: PathBuf,
    /// The folder that is laid out: the same one or one below.
    base: PathBuf,
    layout: Layout,
    masks: MaskKind,
    /// The classes as the data set itself has them, and with what is changed.
    own: Classes,
    classes: Classes,
}

impl Source {
    /// Finds out what lies in `root`.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder or its `classes.json` cannot be read; [`Error::Data`] where it has no layout that is
    /// read, or two, or its `classes.json` is bad; [`Error::Config`] for an option that does not suit it.
    pub fn open(root: impl AsRef<Path>, options: &DataOptions) -> Result<Self> {
        let root = root.as_ref();
        let (layout, base) = find(root, options.layout)?;
        let masks = kind(layout, &base, options.masks)?;
        let own = read_classes(layout, masks, &base)?;
        let classes = own.relabelled(&options.given)?;
        Ok(Self { root: root.to_path_buf(), base, layout, masks, own, classes })
    }

    /// Changes the data set's own label map as `labels` of another one was, where both are of one layout and kind of masks (so
    /// that values mean the same) and the changes can be made here too. Answers whether they were.
    pub(super) fn relabel_as(&mut self, labels: &LabelMap) -> bool {
        let alike = (labels.layout, labels.masks) == (self.layout, self.masks);
        let given = labels.given.as_ref().filter(|_| alike);
        let changed = given.and_then(|given| self.own.relabelled(given).ok());
        changed.map(|classes| self.classes = classes).is_some()
    }

    /// The folder that was given.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The kind of masks that are read, never [`MaskKind::Auto`].
    #[must_use]
    pub const fn masks(&self) -> MaskKind {
        self.masks
    }

    /// The classes, with the label map that applies.
    #[must_use]
    pub const fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The names of the splits, sorted.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be listed; [`Error::Data`] where there is none.
    pub fn splits(&self) -> Result<Vec<String>> {
        let splits = self.layout.splits(&self.base)?;
        if splits.is_empty() {
            return Err(self.no_split("holds no split".into()));
        }
        Ok(splits)
    }

    fn no_split(&self, problem: String) -> Error {
        let (place, remedy) = match self.layout {
            Layout::Voc => {
                ("ImageSets/Segmentation", "write a list of names for each split there, such as train.txt")
            }
            Layout::Cityscapes => {
                ("leftImg8bit", "make a folder for each split there, such as leftImg8bit/train")
            }
            _ => ("images", "make a folder for each split there, such as images/train and images/val"),
        };
        Error::data(self.base.join(place), problem, remedy)
    }

    /// The split that is meant by `name`: its own name, or `train` and `val` for what the layout calls them.
    ///
    /// # Errors
    /// [`Error::Data`] naming the splits there are.
    pub fn split(&self, name: &str) -> Result<String> {
        let splits = self.layout.splits(&self.base)?;
        let usual = USUAL_NAMES.iter().find(|(usual, _)| *usual == name).map_or(&[][..], |(_, own)| &own[..]);
        let there = |wanted: &str| splits.iter().find(|split| *split == wanted).cloned();
        if let Some(found) = std::iter::once(name).chain(usual.iter().copied()).find_map(there) {
            return Ok(found);
        }
        let Error::Data { path, problem, mut remedy } = self.no_split(format!("has no split `{name}`"))
        else {
            unreachable!("what no_split answers is about the data");
        };
        if !splits.is_empty() {
            let told = |split: &String| {
                let usual = USUAL_NAMES.iter().find(|(_, own)| own.contains(&split.as_str()));
                usual.map_or(split.clone(), |(usual, _)| format!("{split} (or {usual})"))
            };
            let told: Vec<String> = splits.iter().map(told).collect();
            remedy = format!("choose among the splits there are: {}", told.join(", "));
        }
        Err(Error::data(path, problem, remedy))
    }

    /// The files of a split, by its own name.
    pub(super) fn files(&self, split: &str) -> Result<SplitFiles> {
        self.layout.files(&self.base, split, self.masks)
    }
}

/// The layout of `root`, and the folder that has it.
fn find(root: &Path, wanted: Option<Layout>) -> Result<(Layout, PathBuf)> {
    disk::list(root).map_err(|e| Error::io("list the folder", root, e))?;
    if let Some(layout) = wanted {
        let base = layout.find(root).ok_or_else(|| {
            let problem = format!("is not laid out as {layout}: {} are not all there", layout.looks());
            Error::data(root, problem, "give the data set's own folder, or another layout")
        })?;
        return Ok((layout, base));
    }
    let found: Vec<_> =
        Layout::ALL.into_iter().filter_map(|layout| layout.find(root).map(|base| (layout, base))).collect();
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => {
            let looks: Vec<String> =
                Layout::ALL.iter().map(|layout| format!("{} ({layout})", layout.looks())).collect();
            let problem = "is laid out like no data set that is read";
            Err(Error::data(root, problem, format!("it needs {}", looks.join(", or "))))
        }
        _ => {
            let names: Vec<&str> = found.iter().map(|(layout, _)| layout.name()).collect();
            let problem = format!("can be read as {}", names.join(" and as "));
            Err(Error::data(root, problem, "say which with data.layout (--layout)"))
        }
    }
}

/// The kind of masks to read.
fn kind(layout: Layout, base: &Path, wanted: MaskKind) -> Result<MaskKind> {
    let kinds = layout.kinds();
    if wanted != MaskKind::Auto {
        if kinds.contains(&wanted) {
            return Ok(wanted);
        }
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        return Err(Error::config(
            format!("data.masks (--mask-kind) is {wanted} and the layout is {layout}"),
            format!("choose auto, {}", names.join(" or ")),
        ));
    }
    if layout.kinds() == Layout::Folder.kinds() {
        return Ok(kinds[0]);
    }
    for &kind in kinds {
        for split in layout.splits(base)? {
            if layout.files(base, &split, kind)?.pairs.iter().any(|pair| pair.has_mask) {
                return Ok(kind);
            }
        }
    }
    Ok(kinds[0])
}

/// The classes that the data set's `classes.json` names, or the published ones.
fn read_classes(layout: Layout, masks: MaskKind, base: &Path) -> Result<Classes> {
    let file = base.join("classes.json");
    let published = layout.classes(masks);
    let Some(published) = published.filter(|_| !disk::exists(&file)) else {
        let mut classes = Classes::read(&file)?;
        let identity = classes.labels.is_identity();
        if identity && layout.classes(masks).is_some_and(|published| !published.labels.is_known_as_ids()) {
            let problem = format!("does not say which values of the {layout} masks its classes are");
            let remedy = "give every class its `values`, and list those without a class in `ignore`";
            return Err(Error::data(file, problem, remedy));
        }
        (classes.labels.layout, classes.labels.masks) = (layout, masks);
        return Ok(classes);
    };
    Ok(published)
}
