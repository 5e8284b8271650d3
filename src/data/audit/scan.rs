//! Reading all files of a split on all cores, and adding up what was found in the order of the names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::metadata::Orientation;

use super::{
    ClassShare, IgnoredPixels, SizeCount, SizeMismatch, SplitAudit, UnknownValues, Unreadable, ValueUse,
};
use crate::data::classes::{ClassInfo, Classes};
use crate::data::label_map::Decoder;
use crate::data::labels;
use crate::data::layout::{MaskKind, Pair};
use crate::data::raw::{Occurrence, RawLabel};
use crate::data::read::{decode, read_raw_mask};
use crate::data::source::Source;
use crate::error::{Error, Result};

/// Masks of the list of those that are ignored most.
const NUM_IGNORED: usize = 10;

/// A mask's size and raw labels.
type Counted = ([usize; 2], BTreeMap<RawLabel, Occurrence>);

/// What one image and its mask gave.
struct Finding {
    image_size: Option<Result<[usize; 2]>>,
    is_turned: bool,
    mask: Option<Result<Counted>>,
}

/// Reads and counts a split.
pub fn split(source: &Source, split: &str) -> Result<SplitAudit> {
    let files = source.files(split)?;
    let by_color = source.masks() == MaskKind::Colors;
    let relative = |path: &Path| {
        let parts =
            path.strip_prefix(source.root()).unwrap_or(path).iter().map(|part| part.to_string_lossy());
        parts.collect::<Vec<_>>().join("/")
    };
    let findings = in_parallel(&files.pairs, |pair| examine(pair, by_color));

    let mut counts = Counts::new(source.classes());
    let twins = files.pairs.windows(2).filter(|pair| pair[0].name == pair[1].name);
    let mut audit = SplitAudit {
        split: split.to_owned(),
        place: relative(&files.place),
        num_images: files.pairs.len(),
        sizes: Vec::new(),
        unreadable: Vec::new(),
        turned_images: Vec::new(),
        missing_images: Vec::new(),
        missing_masks: Vec::new(),
        orphan_masks: files.orphans.iter().map(|path| relative(path)).collect(),
        duplicate_names: twins.map(|pair| relative(&pair[1].image)).collect(),
        size_mismatches: Vec::new(),
        unknown_values: Vec::new(),
        most_ignored: Vec::new(),
        values: Vec::new(),
        classes: Vec::new(),
        absent_classes: Vec::new(),
        labelled_pixels: 0,
        ignored_pixels: 0,
        ignored_share: 0.0,
    };
    for (pair, finding) in files.pairs.iter().zip(findings) {
        let (image, mask) = (relative(&pair.image), relative(&pair.mask));
        if finding.is_turned {
            audit.turned_images.push(image.clone());
        }
        let mut image_size = None;
        match finding.image_size {
            None => audit.missing_images.push(image.clone()),
            Some(Err(error)) => audit.unreadable.push(unreadable(image.clone(), &error)),
            Some(Ok(size)) => {
                *counts.sizes.entry(size).or_default() += 1;
                image_size = Some(size);
            }
        }
        match finding.mask {
            None => audit.missing_masks.push(image),
            Some(Err(error)) => audit.unreadable.push(unreadable(mask, &error)),
            Some(Ok((mask_size, found))) => {
                if let Some(image_size) = image_size.filter(|&size| size != mask_size) {
                    audit.size_mismatches.push(SizeMismatch { mask: mask.clone(), mask_size, image_size });
                }
                audit.unknown_values.extend(counts.add(mask, &found));
            }
        }
    }
    // A stable sort: equals stay in the order of their names.
    audit.unknown_values.sort_by_key(|unknown| std::cmp::Reverse(unknown.pixels));
    counts.finish(&mut audit);
    Ok(audit)
}

fn examine(pair: &Pair, by_color: bool) -> Finding {
    let image = pair.has_image.then(|| decode(&pair.image));
    let turned = |result: &Result<_>| matches!(result, Ok((_, orientation)) if *orientation != Orientation::NoTransforms);
    let is_turned = image.as_ref().is_some_and(turned);
    let size = |(image, _): (image::DynamicImage, _)| [image.width() as usize, image.height() as usize];
    let image_size = image.map(|image| image.map(size));
    let mask = pair.has_mask.then(|| {
        let mask = read_raw_mask(&pair.mask, by_color)?;
        Ok(([mask.width, mask.height], mask.count()))
    });
    Finding { image_size, is_turned, mask }
}

/// `work` of every job, on all cores; the results are in the order of the jobs.
fn in_parallel<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let num_threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    if num_threads < 2 {
        return jobs.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let thread = || {
        let taken = std::iter::from_fn(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            Some((index, work(jobs.get(index)?)))
        });
        taken.collect::<Vec<_>>()
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..num_threads).map(|_| scope.spawn(thread)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<_>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    });
    results.sort_unstable_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn unreadable(file: String, error: &Error) -> Unreadable {
    let (problem, remedy) = match error {
        Error::Data { problem, remedy, .. } => (problem.clone(), remedy.clone()),
        Error::Io { source, .. } => (format!("cannot be read ({source})"), "make the file readable".into()),
        other => (other.to_string(), "replace the file".into()),
    };
    Unreadable { file, problem, remedy }
}

/// Sums over the masks of a split.
struct Counts<'a> {
    classes: &'a Classes,
    decoder: Decoder,
    sizes: BTreeMap<[usize; 2], usize>,
    /// Pixels and masks of each raw label.
    values: BTreeMap<RawLabel, (u64, usize)>,
    /// Masks in which a class occurs.
    num_images: Vec<usize>,
    total: u64,
    most_ignored: Vec<IgnoredPixels>,
}

impl<'a> Counts<'a> {
    fn new(classes: &'a Classes) -> Self {
        Self {
            classes,
            decoder: Decoder::new(classes),
            sizes: BTreeMap::new(),
            values: BTreeMap::new(),
            num_images: vec![0; classes.len()],
            total: 0,
            most_ignored: Vec::new(),
        }
    }

    /// Adds one mask and returns its labels that mean nothing.
    fn add(&mut self, mask: String, found: &BTreeMap<RawLabel, Occurrence>) -> Option<UnknownValues> {
        let pixels: u64 = found.values().map(|found| found.pixels).sum();
        let mut ignored = 0;
        let mut classes = vec![false; self.num_images.len()];
        let unknown = labels::unknown(found, &self.decoder);
        for (&label, found) in found {
            match self.decoder.meaning(label) {
                // A photograph in place of a mask has as many labels as pixels: those that are named are enough.
                None if !unknown.values.iter().any(|v| v.value == label) => continue,
                Some(class) if usize::from(class) < classes.len() => classes[usize::from(class)] = true,
                Some(_) => ignored += found.pixels,
                None => {}
            }
            let entry = self.values.entry(label).or_default();
            *entry = (entry.0 + found.pixels, entry.1 + 1);
        }
        for (count, there) in self.num_images.iter_mut().zip(classes) {
            *count += usize::from(there);
        }
        self.total += pixels;
        if ignored > 0 {
            let share = share(ignored, pixels);
            self.most_ignored.push(IgnoredPixels { mask: mask.clone(), pixels: ignored, share });
        }
        if unknown.values.is_empty() {
            return None;
        }
        let sentence = labels::describe(&unknown, self.classes);
        let labels::Unknown { pixels, values, num_others } = unknown;
        Some(UnknownValues { mask, pixels, values, num_others, sentence })
    }

    fn finish(self, audit: &mut SplitAudit) {
        let num_classes = self.classes.len();
        let mut pixels = vec![0; num_classes];
        for (&value, &(of_value, num_masks)) in &self.values {
            let meaning = self.decoder.meaning(value);
            let class = meaning.filter(|&class| usize::from(class) < num_classes);
            let ignored = meaning.is_some() && class.is_none();
            if let Some(class) = class {
                pixels[usize::from(class)] += of_value;
            }
            audit.ignored_pixels += if ignored { of_value } else { 0 };
            audit.values.push(ValueUse { value, pixels: of_value, num_masks, class, ignored });
        }
        audit.labelled_pixels = pixels.iter().sum();
        audit.ignored_share = share(audit.ignored_pixels, self.total);
        let class = |class: &ClassInfo| {
            let pixels = pixels[usize::from(class.id)];
            ClassShare {
                id: class.id,
                name: class.name.clone(),
                pixels,
                share: share(pixels, audit.labelled_pixels),
                num_images: self.num_images[usize::from(class.id)],
            }
        };
        audit.classes = self.classes.classes.iter().map(class).collect();
        let absent = audit.classes.iter().filter(|class| class.pixels == 0);
        audit.absent_classes = absent.map(|class| class.name.clone()).collect();
        audit.most_ignored = self.most_ignored;
        audit.most_ignored.sort_by_key(|mask| std::cmp::Reverse(mask.pixels));
        audit.most_ignored.truncate(NUM_IGNORED);
        let size =
            |([width, height], num_images): ([usize; 2], usize)| SizeCount { width, height, num_images };
        audit.sizes = self.sizes.into_iter().map(size).collect();
        audit.sizes.sort_by_key(|size| std::cmp::Reverse(size.num_images));
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
