//! An audit in words: what stops training, what is worth knowing, and the table.

use std::fmt;

use super::table::SplitTable;
use super::{Audit, SplitAudit};
use crate::data::labels;
use crate::data::layout::Layout;
use crate::error::{Error, Result};
use crate::words::{counted, listed};

/// Problems and warnings that the table lists; the JSON form has all.
const NUM_LISTED: usize = 20;
/// Classes without a pixel that a warning names; the table shows all.
const NUM_CLASSES: usize = 12;
/// A mask of which more is ignored is told; a border or a void around objects is less.
const MUCH_IGNORED: f64 = 0.5;

/// File (relative), problem, remedy.
type Finding = (String, String, String);

impl Audit {
    /// Everything that stops training, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<Error> {
        let findings = self.splits.iter().flat_map(|split| self.findings(split));
        findings.map(|(file, problem, remedy)| Error::data(self.root.join(file), problem, remedy)).collect()
    }

    /// What does not stop training but may surprise: masks without an image, images that viewers show turned, masks that are
    /// ignored for the most part, classes without a pixel.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for split in &self.splits {
            let name = &split.split;
            if let Some(first) = split.orphan_masks.first() {
                let masks = counted(split.orphan_masks.len(), "mask");
                warnings.push(format!("split {name}: {masks} without an image, the first is `{first}`"));
            }
            if let Some(first) = split.turned_images.first() {
                let images = counted(split.turned_images.len(), "image");
                warnings.push(format!(
                    "split {name}: {images} with a note for viewers to turn or mirror (EXIF), the first is `{first}`; \
                     masks must show the pixels as they are stored"
                ));
            }
            let ignored: Vec<String> = (split.most_ignored.iter())
                .filter(|mask| mask.share > MUCH_IGNORED)
                .take(3)
                .map(|mask| format!("`{}` ({:.0} %)", mask.mask, 100.0 * mask.share))
                .collect();
            if !ignored.is_empty() {
                warnings.push(format!(
                    "split {name}: masks that are ignored for the most part: {}",
                    ignored.join(", ")
                ));
            }
            if !split.absent_classes.is_empty() && split.labelled_pixels > 0 {
                warnings.push(format!(
                    "split {name}: no pixel of {}",
                    listed(&split.absent_classes, NUM_CLASSES)
                ));
            }
        }
        warnings
    }

    /// Whether the data set can be trained on.
    ///
    /// # Errors
    /// The first of [`Audit::problems`] and how many more there are.
    pub fn verdict(&self) -> Result<()> {
        let mut findings = self.splits.iter().flat_map(|split| self.findings(split));
        let Some((file, problem, mut remedy)) = findings.next() else { return Ok(()) };
        let others = findings.count();
        if others > 0 {
            let root = self.root.display();
            let others = counted(others, "more problem");
            remedy += &format!(" ({others}; `protoseg audit {root}` lists all)");
        }
        Err(Error::data(self.root.join(file), problem, remedy))
    }

    fn findings(&self, split: &SplitAudit) -> Vec<Finding> {
        let place = &split.place;
        let mut findings: Vec<Finding> = Vec::new();
        let mut found = |file: &str, problem: String, remedy: &str| {
            findings.push((file.to_owned(), problem, remedy.to_owned()));
        };
        if split.num_images == 0 {
            found(place, labels::EMPTY.into(), self.layout.remedy_for_empty());
        }
        for file in &split.unreadable {
            found(&file.file, file.problem.clone(), &file.remedy);
        }
        for file in &split.duplicate_names {
            found(file, "shares its mask with another image".into(), "remove or rename one of the two");
        }
        for file in &split.missing_images {
            found(file, format!("is not there, though {place} names it"), "add the image or remove its line");
        }
        for file in &split.missing_masks {
            found(file, format!("has no mask{}", self.where_masks_are()), "add the mask or remove the image");
        }
        for mismatch in &split.size_mismatches {
            let ([mask_width, mask_height], [width, height]) = (mismatch.mask_size, mismatch.image_size);
            let problem = format!("is {mask_width} x {mask_height} but its image is {width} x {height}");
            found(&mismatch.mask, problem, "redraw the mask over the image as it is stored");
        }
        for unknown in &split.unknown_values {
            let (problem, remedy) = &unknown.sentence;
            found(&unknown.mask, problem.clone(), remedy);
        }
        let any_mask = split.num_images > split.missing_masks.len() + split.unreadable.len();
        if any_mask && split.labelled_pixels == 0 && split.unknown_values.is_empty() {
            found(place, "has no pixel of any class".into(), "label pixels or leave the split out");
        }
        findings
    }

    /// The kind of masks that an image may lack although it has one of another kind.
    fn where_masks_are(&self) -> String {
        match self.layout {
            Layout::Folder | Layout::Voc | Layout::Ade20k => String::new(),
            Layout::Cityscapes | Layout::CocoStuff => format!(" of the kind {}", self.masks),
        }
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = if self.label_map.labels.given.is_some() {
            ", with the label map of the configuration"
        } else {
            ""
        };
        let (root, layout, masks) = (self.root.display(), self.layout, self.masks);
        writeln!(f, "data set {root}: layout {layout}, masks of {masks}{given}")?;
        for split in &self.splits {
            write!(f, "\n{}", SplitTable { split, classes: &self.label_map })?;
        }
        let problems: Vec<String> = self.problems().iter().map(ToString::to_string).collect();
        list(f, "warning", &self.warnings())?;
        list(f, "problem", &problems)?;
        if problems.is_empty() { writeln!(f, "\nno problem found") } else { Ok(()) }
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, sentences: &[String]) -> fmt::Result {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{}", counted(sentences.len(), title))?;
    for sentence in sentences.iter().take(NUM_LISTED) {
        writeln!(f, "  {sentence}")?;
    }
    match sentences.len().saturating_sub(NUM_LISTED) {
        0 => Ok(()),
        others => writeln!(f, "  and {others} more; --json lists all"),
    }
}
