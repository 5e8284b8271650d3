//! An audit in words: what stops training, what is worth knowing, and the table.

use std::fmt;

use super::{Audit, SplitAudit};
use crate::data::labels::{self, counted};
use crate::error::{Error, Result};

/// Problems and warnings that the table lists; the JSON form has all.
const NUM_LISTED: usize = 20;

/// File (relative), problem, remedy.
type Finding = (String, String, String);

impl Audit {
    /// Everything that stops training, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<Error> {
        let findings = self.splits.iter().flat_map(|split| self.findings(split));
        findings.map(|(file, problem, remedy)| Error::data(self.root.join(file), problem, remedy)).collect()
    }

    /// What does not stop training but may surprise: masks without an image, images that viewers show turned, classes
    /// without a pixel.
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
            let absent = split.classes.iter().filter(|class| class.pixels == 0);
            let absent: Vec<&str> = absent.map(|class| class.name.as_str()).collect();
            if !absent.is_empty() && split.labelled_pixels > 0 {
                warnings.push(format!("split {name}: no pixel of {}", absent.join(", ")));
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
        let folder = format!("images/{}", split.split);
        let mut findings: Vec<Finding> = Vec::new();
        let mut found = |file: &str, problem: String, remedy: &str| {
            findings.push((file.to_owned(), problem, remedy.to_owned()));
        };
        if split.num_images == 0 {
            found(&folder, "holds no image".into(), "put .jpg or .png files there");
        }
        for file in &split.unreadable {
            found(&file.file, file.problem.clone(), &file.remedy);
        }
        for file in &split.duplicate_names {
            found(file, "shares its mask with another image".into(), "remove or rename one of the two");
        }
        for file in &split.missing_masks {
            found(file, format!("has no mask in masks/{}", split.split), "add the mask or remove the image");
        }
        for mismatch in &split.size_mismatches {
            let ([mask_width, mask_height], [width, height]) = (mismatch.mask_size, mismatch.image_size);
            let problem = format!("is {mask_width} x {mask_height} but its image is {width} x {height}");
            found(&mismatch.mask, problem, "redraw the mask over the image as it is stored");
        }
        for unknown in &split.unknown_values {
            let problem = labels::describe(&unknown.values, split.classes.len(), self.ignore_index);
            found(&unknown.mask, problem, labels::REMEDY);
        }
        let any_mask = split.num_images > split.missing_masks.len() + split.unreadable.len();
        if any_mask && split.labelled_pixels == 0 {
            found(&folder, "has no pixel of any class".into(), "label pixels or leave the split out");
        }
        findings
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data set {}", self.root.display())?;
        for split in &self.splits {
            write!(f, "\n{split}")?;
        }
        let problems: Vec<String> = self.problems().iter().map(ToString::to_string).collect();
        list(f, "warning", &self.warnings())?;
        list(f, "problem", &problems)?;
        if problems.is_empty() { writeln!(f, "\nno problem found") } else { Ok(()) }
    }
}

impl fmt::Display for SplitAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "split {}: {}", self.split, counted(self.num_images, "image"))?;
        for (i, size) in self.sizes.iter().take(3).enumerate() {
            let lead = if i == 0 { ": " } else { ", " };
            write!(f, "{lead}{} of {} x {}", size.num_images, size.width, size.height)?;
        }
        if self.sizes.len() > 3 {
            write!(f, " and {}", counted(self.sizes.len() - 3, "more size"))?;
        }
        let width = self.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "\n  {:>3}  {:<width$}  {:>14}  {:>13}  {:>6}",
            "id", "class", "pixels", "% of labelled", "images"
        )?;
        for class in &self.classes {
            let percent = class.share * 100.0;
            writeln!(
                f,
                "  {:>3}  {:<width$}  {:>14}  {percent:>13.2}  {:>6}",
                class.id, class.name, class.pixels, class.num_images
            )?;
        }
        let percent = self.ignored_share * 100.0;
        writeln!(
            f,
            "       {:<width$}  {:>14}  ({percent:.2} % of all pixels)",
            "ignored", self.ignored_pixels
        )
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
