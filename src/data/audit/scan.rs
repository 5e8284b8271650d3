//! Reading all files of a split on all cores, and adding up what was found in the order of the names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::metadata::Orientation;

use super::{ClassShare, SizeCount, SizeMismatch, SplitAudit, UnknownValues, Unreadable};
use crate::data::classes::Classes;
use crate::data::dataset::{list_images, list_masks, stem};
use crate::data::labels::{self, Histogram};
use crate::data::read::{decode, read_mask};
use crate::error::{Error, Result};

/// What one image and its mask gave.
struct Finding {
    image_size: Result<[usize; 2]>,
    is_turned: bool,
    mask: Option<Result<([usize; 2], Box<Histogram>)>>,
}

/// Reads and counts `ROOT/images/SPLIT` and `ROOT/masks/SPLIT`.
pub fn split(root: &Path, split: &str, classes: &Classes) -> Result<SplitAudit> {
    let images = list_images(root.join("images").join(split))?;
    let mut masks = list_masks(&root.join("masks").join(split))?;
    let relative = |path: &Path| {
        let parts = path.strip_prefix(root).unwrap_or(path).iter().map(|part| part.to_string_lossy());
        parts.collect::<Vec<_>>().join("/")
    };
    let jobs: Vec<(&Path, Option<PathBuf>)> =
        images.iter().map(|image| (image.as_path(), masks.get(&stem(image)).cloned())).collect();
    let findings = in_parallel(&jobs, |(image, mask)| examine(image, mask.as_deref()));

    let mut counts = Counts::new(classes);
    let mut audit = SplitAudit {
        split: split.to_owned(),
        num_images: images.len(),
        sizes: Vec::new(),
        unreadable: Vec::new(),
        turned_images: Vec::new(),
        missing_masks: Vec::new(),
        orphan_masks: Vec::new(),
        duplicate_names: Vec::new(),
        size_mismatches: Vec::new(),
        unknown_values: Vec::new(),
        classes: Vec::new(),
        labelled_pixels: 0,
        ignored_pixels: 0,
        ignored_share: 0.0,
    };
    for ((image, mask), finding) in jobs.iter().zip(findings) {
        if let Err(error) = &finding.image_size {
            audit.unreadable.push(unreadable(relative(image), error));
        }
        if finding.is_turned {
            audit.turned_images.push(relative(image));
        }
        match (mask, finding.mask) {
            (Some(path), Some(Ok((mask_size, histogram)))) => {
                let mask = relative(path);
                if let Ok(image_size) = finding.image_size
                    && image_size != mask_size
                {
                    audit.size_mismatches.push(SizeMismatch { mask: mask.clone(), mask_size, image_size });
                }
                audit.unknown_values.extend(counts.add(mask, &histogram));
            }
            (Some(path), Some(Err(error))) => audit.unreadable.push(unreadable(relative(path), &error)),
            _ => audit.missing_masks.push(relative(image)),
        }
        if let Ok(size) = finding.image_size {
            *counts.sizes.entry(size).or_default() += 1;
        }
    }
    let twins = images.windows(2).filter(|pair| stem(&pair[0]) == stem(&pair[1]));
    audit.duplicate_names = twins.map(|pair| relative(&pair[1])).collect();
    for image in &images {
        masks.remove(&stem(image));
    }
    audit.orphan_masks = masks.values().map(|path| relative(path)).collect();
    // Stable sorts: equals stay in the order of their names.
    audit.unknown_values.sort_by_key(|unknown| std::cmp::Reverse(unknown.pixels));
    counts.finish(&mut audit);
    Ok(audit)
}

fn examine(image: &Path, mask: Option<&Path>) -> Finding {
    let image = decode(image);
    let is_turned = image.as_ref().is_ok_and(|(_, orientation)| *orientation != Orientation::NoTransforms);
    let image_size = image.map(|(image, _)| [image.width() as usize, image.height() as usize]);
    let mask = mask.map(|path| {
        let mask = read_mask(path)?;
        Ok(([mask.width, mask.height], labels::count(&mask.labels)))
    });
    Finding { image_size, is_turned, mask }
}

/// `work` of every job, on all cores; the results are in the order of the jobs.
fn in_parallel<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let num_threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
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
    sizes: BTreeMap<[usize; 2], usize>,
    pixels: Histogram,
    num_images: [usize; 256],
}

impl<'a> Counts<'a> {
    fn new(classes: &'a Classes) -> Self {
        Self { classes, sizes: BTreeMap::new(), pixels: [0; 256], num_images: [0; 256] }
    }

    /// Adds one mask and returns its labels that mean nothing.
    fn add(&mut self, mask: String, histogram: &Histogram) -> Option<UnknownValues> {
        for (value, &pixels) in histogram.iter().enumerate() {
            self.pixels[value] += pixels;
            self.num_images[value] += usize::from(pixels > 0);
        }
        let values = labels::unknown(histogram, self.classes);
        let pixels = values.iter().map(|value| value.pixels).sum();
        (!values.is_empty()).then_some(UnknownValues { mask, pixels, values })
    }

    fn finish(self, audit: &mut SplitAudit) {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        audit.labelled_pixels = self.pixels[..self.classes.len()].iter().sum();
        audit.ignored_pixels = self.pixels[usize::from(self.classes.ignore_index)];
        audit.ignored_share = share(audit.ignored_pixels, self.pixels.iter().sum());
        let class = |class: &crate::data::classes::ClassInfo| {
            let pixels = self.pixels[usize::from(class.id)];
            ClassShare {
                id: class.id,
                name: class.name.clone(),
                pixels,
                share: share(pixels, audit.labelled_pixels),
                num_images: self.num_images[usize::from(class.id)],
            }
        };
        audit.classes = self.classes.classes.iter().map(class).collect();
        let size =
            |([width, height], num_images): ([usize; 2], usize)| SizeCount { width, height, num_images };
        audit.sizes = self.sizes.into_iter().map(size).collect();
        audit.sizes.sort_by_key(|size| std::cmp::Reverse(size.num_images));
    }
}
