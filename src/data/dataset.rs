//! One split of a data set: which image belongs to which mask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::classes::Classes;
use crate::data::label_map::Decoder;
use crate::data::labels;
use crate::data::layout::{Layout, MaskKind};
use crate::data::read::{Mask, RgbImage, read_image, read_raw_mask};
use crate::data::source::{DataOptions, Source};
use crate::disk;
use crate::error::{Error, Result};

/// The files of one labelled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleFiles {
    /// The file name without its extension.
    pub name: String,
    /// The image.
    pub image: PathBuf,
    /// The mask.
    pub mask: PathBuf,
}

/// A decoded labelled image; both parts have the same size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The image.
    pub image: RgbImage,
    /// The labels: class ids and [`Classes::ignore_index`], as the label map makes them of what the file holds.
    pub mask: Mask,
}

/// One split, sorted by name. Opening it reads file names and `classes.json`, no picture.
#[derive(Clone, Debug)]
pub struct Dataset {
    source: Source,
    split: String,
    decoder: Decoder,
    samples: Vec<SampleFiles>,
}

impl Dataset {
    /// Opens a split of the data set in `root`, whatever its layout.
    ///
    /// # Errors
    /// As [`Dataset::open_with`].
    pub fn open(root: impl AsRef<Path>, split: &str) -> Result<Self> {
        Self::open_with(root, split, &DataOptions::default())
    }

    /// Opens a split as the options say. `train` and `val` are accepted for what the layout calls these splits.
    ///
    /// # Errors
    /// Those of [`Source::open`] and [`Source::split`]; [`Error::Io`] and [`Error::Data`] where a folder is missing, the
    /// split is empty, two images or two masks share a name, a name is not UTF-8, an image has no mask, or a list names an
    /// image that is not there.
    pub fn open_with(root: impl AsRef<Path>, split: &str, options: &DataOptions) -> Result<Self> {
        let source = Source::open(root, options)?;
        let split = source.split(split)?;
        let files = source.files(&split)?;
        if files.pairs.is_empty() {
            return Err(Error::data(&files.place, labels::EMPTY, source.layout().remedy_for_empty()));
        }
        if let Some(twins) = files.pairs.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let problem = format!("shares its mask with `{}`", twins[0].image.display());
            return Err(Error::data(&twins[1].image, problem, "remove or rename one of the two"));
        }
        if let Some(lost) = files.pairs.iter().find(|pair| !pair.has_image) {
            let problem = format!("is not there, though `{}` names it", files.place.display());
            return Err(Error::data(&lost.image, problem, "add the image or remove its line"));
        }
        let mut without = files.pairs.iter().filter(|pair| !pair.has_mask);
        if let Some(first) = without.next() {
            let others = without.count();
            let also = if others == 0 { String::new() } else { format!(" (so do {others} more)") };
            let problem = format!("lacks its mask `{}`{also}", first.mask.display());
            return Err(Error::data(&first.image, problem, "add the mask or remove the image"));
        }
        let sample = |pair: crate::data::layout::Pair| SampleFiles {
            name: pair.name,
            image: pair.image,
            mask: pair.mask,
        };
        let samples = files.pairs.into_iter().map(sample).collect();
        let decoder = Decoder::new(source.classes());
        Ok(Self { source, split, decoder, samples })
    }

    /// The same images with the changes to the data set's label map that a configuration made for a model with `classes`, where
    /// it made any and these masks are of the layout and kind that they were made for. Otherwise unchanged.
    #[must_use]
    pub fn labelled_as(mut self, classes: &Classes) -> Self {
        if self.source.relabel_as(&classes.labels) {
            self.decoder = Decoder::new(self.source.classes());
        }
        self
    }

    /// The data set's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.source.root()
    }

    /// The layout of its folders.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.source.layout()
    }

    /// The kind of masks that are read.
    #[must_use]
    pub const fn masks(&self) -> MaskKind {
        self.source.masks()
    }

    /// The split's name in the data set.
    #[must_use]
    pub fn split(&self) -> &str {
        &self.split
    }

    /// The classes, with the label map that applies.
    #[must_use]
    pub const fn classes(&self) -> &Classes {
        self.source.classes()
    }

    /// The files, sorted by name.
    #[must_use]
    pub fn samples(&self) -> &[SampleFiles] {
        &self.samples
    }

    /// The number of images, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Never true: an empty split does not open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Decodes image and mask number `index`, which must be below [`Dataset::len`].
    ///
    /// # Errors
    /// As [`read_image`] and [`read_raw_mask`]; [`Error::Data`] where the sizes differ or the label map does not know a
    /// raw label.
    pub fn load(&self, index: usize) -> Result<Sample> {
        let files = &self.samples[index];
        let image = read_image(&files.image)?;
        let mask = read_raw_mask(&files.mask, self.masks() == MaskKind::Colors)?;
        if (image.width, image.height) != (mask.width, mask.height) {
            let problem = format!(
                "is {} x {} but its image is {} x {}",
                mask.width, mask.height, image.width, image.height
            );
            return Err(Error::data(&files.mask, problem, "redraw the mask over the image as it is stored"));
        }
        let Some(decoded) = self.decoder.decode(&mask) else {
            let unknown = labels::unknown(&mask.count(), &self.decoder);
            let (problem, remedy) = labels::describe(&unknown, self.classes());
            return Err(Error::data(&files.mask, problem, remedy));
        };
        let mask = Mask { width: mask.width, height: mask.height, labels: decoded };
        Ok(Sample { image, mask })
    }
}

/// The names of the splits of the data set in `root`, whatever its layout, sorted.
///
/// # Errors
/// Those of [`Source::open`] and [`Source::splits`].
pub fn list_splits(root: impl AsRef<Path>) -> Result<Vec<String>> {
    Source::open(root, &DataOptions::default())?.splits()
}

/// The `.jpg`, `.jpeg` and `.png` files of a folder (capitals do not matter), sorted by name. Hidden files, which some
/// systems put beside pictures, are passed over.
///
/// # Errors
/// [`Error::Io`] where the folder cannot be listed; [`Error::Data`] where the name of one is not UTF-8.
pub fn list_images(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    list(folder.as_ref(), |path| disk::is_file(path) && has_extension(path, &["jpg", "jpeg", "png"]))
}

/// The masks of a folder by the name that they share with their image (capitals of `.png` do not matter); none where
/// there is no such folder.
pub(crate) fn list_masks(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    if !disk::is_folder(folder) {
        return Ok(BTreeMap::new());
    }
    let files = list(folder, |path| disk::is_file(path) && has_extension(path, &["png"]))?;
    let mut masks = BTreeMap::new();
    for path in files {
        if let Some(other) = masks.insert(stem(&path), path.clone()) {
            let problem = format!("belongs to the same image as `{}`", other.display());
            return Err(Error::data(path, problem, "remove or rename one of the two"));
        }
    }
    Ok(masks)
}

/// The visible entries of `folder` that `keep` accepts, sorted by stem, then by extension.
pub(crate) fn list(folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("list the folder", folder, e);
    let mut paths = Vec::new();
    for path in disk::list(folder).map_err(failed)? {
        if file_name(&path).starts_with('.') || !keep(&path) {
            continue;
        }
        // Two such names could become the same text, and a name in a message would not be the file's.
        if path.file_name().is_some_and(|name| name.to_str().is_none()) {
            return Err(Error::data(path, "has a name that is not UTF-8", "rename it"));
        }
        paths.push(path);
    }
    paths.sort_by_cached_key(|path| (stem(path), path.clone()));
    Ok(paths)
}

pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    extensions.contains(&extension.as_str())
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The file name without its last extension.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fixture;
    use crate::testing::TempDir;

    fn message(dir: &TempDir, split: &str) -> String {
        Dataset::open(dir.path(), split).unwrap_err().to_string()
    }

    #[test]
    fn opens_sorted_and_loads() {
        let dir = TempDir::new("dataset");
        fixture::classes(&dir, 3);
        for (name, size) in [("b", (5, 4)), ("a.1", (7, 3)), ("c", (1, 1))] {
            fixture::pair(&dir, "train", name, size.0, size.1, |x, y| ((x + y) % 3) as u16);
        }
        std::fs::write(dir.join("images/train/.hidden.jpg"), "").unwrap();
        std::fs::write(dir.join("images/train/notes.txt"), "").unwrap();
        let data = Dataset::open(dir.path(), "train").unwrap();
        let names: Vec<&str> = data.samples().iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names, ["a.1", "b", "c"]);
        let sample = data.load(1).unwrap();
        assert_eq!((sample.image.width, sample.mask.height), (5, 4));
        assert_eq!(sample.mask.labels[..5], [0, 1, 2, 0, 1]);
        assert_eq!((data.len(), data.classes().len(), data.split()), (3, 3, "train"));
    }

    #[test]
    fn bad_folders_are_answered_in_words() {
        let dir = TempDir::new("dataset");
        assert!(message(&dir, "train").contains("classes.json"));
        fixture::classes(&dir, 2);
        assert!(message(&dir, "train").contains("cannot list the folder"));
        std::fs::create_dir_all(dir.path().join("images")).unwrap();
        assert!(message(&dir, "train").contains("make a folder for each split"));
        std::fs::create_dir_all(dir.path().join("images/val")).unwrap();
        std::fs::create_dir_all(dir.path().join("images/test")).unwrap();
        let unknown = message(&dir, "train");
        assert!(unknown.contains("no split `train`") && unknown.contains("test, val"), "{unknown}");
        assert!(message(&dir, "val").contains("holds no image"));
        fixture::pair(&dir, "val", "a", 4, 4, |_, _| 0);
        fixture::pair(&dir, "val", "b", 4, 4, |_, _| 0);
        std::fs::remove_dir_all(dir.path().join("masks")).unwrap();
        let missing = message(&dir, "val");
        assert!(missing.contains("a.png") && missing.contains("so do 1 more"), "{missing}");
    }

    #[test]
    fn two_images_of_one_name_and_two_sizes_are_refused() {
        let dir = TempDir::new("dataset");
        fixture::classes(&dir, 2);
        fixture::pair(&dir, "train", "a", 4, 4, |_, _| 0);
        std::fs::copy(dir.join("images/train/a.png"), dir.join("images/train/a.JPG")).unwrap();
        assert!(message(&dir, "train").contains("shares its mask with"));
        std::fs::remove_file(dir.join("images/train/a.JPG")).unwrap();
        fixture::mask(&dir, "train", "a", 4, 5, |_, _| 0);
        let size = Dataset::open(dir.path(), "train").unwrap().load(0).unwrap_err().to_string();
        assert!(size.contains("is 4 x 5 but its image is 4 x 4"), "{size}");
    }

    #[test]
    fn a_mask_is_found_by_its_name_whatever_the_capitals_of_its_extension() {
        let dir = TempDir::new("dataset");
        fixture::classes(&dir, 2);
        fixture::pair(&dir, "train", "a", 4, 4, |_, _| 1);
        let (lower, upper) = (dir.join("masks/train/a.png"), dir.join("masks/train/a.PNG"));
        std::fs::rename(&lower, &upper).unwrap();
        let audit = || crate::data::audit(dir.path());
        audit().unwrap().verdict().unwrap();
        assert_eq!(Dataset::open(dir.path(), "train").unwrap().load(0).unwrap().mask.labels, [1; 16]);
        std::fs::copy(&upper, &lower).unwrap();
        // A file system that does not tell capitals apart has one file still.
        if std::fs::read_dir(dir.join("masks/train")).unwrap().count() == 2 {
            for message in [message(&dir, "train"), audit().unwrap_err().to_string()] {
                assert!(message.contains("a.png`: belongs to the same image as `"), "{message}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_not_utf8_is_refused_in_words() {
        use std::os::unix::ffi::OsStrExt;
        for folder in ["images/train", "masks/train"] {
            let dir = TempDir::new("dataset");
            fixture::classes(&dir, 2);
            fixture::pair(&dir, "train", "a", 4, 4, |_, _| 1);
            let path = dir.join(folder).join(std::ffi::OsStr::from_bytes(b"caf\xE9.png"));
            std::fs::copy(dir.join(folder).join("a.png"), path).unwrap();
            for message in [message(&dir, "train"), crate::data::audit(dir.path()).unwrap_err().to_string()] {
                assert!(
                    message.contains(folder) && message.contains("a name that is not UTF-8"),
                    "{message}"
                );
            }
        }
    }

    #[test]
    fn a_label_that_means_nothing_is_refused_in_the_words_of_the_audit() {
        let dir = TempDir::new("dataset");
        fixture::classes(&dir, 2);
        fixture::pair(&dir, "val", "a", 4, 4, |x, y| if (x, y) == (1, 2) { 200 } else { 255 });
        fixture::pair(&dir, "val", "b", 4, 4, |x, _| x as u16 % 2);
        let data = Dataset::open(dir.path(), "val").unwrap();
        let message = data.load(0).unwrap_err().to_string();
        assert!(
            message.contains(
                "a.png`: has the value 200 (1 pixel, first at x 1, y 2) where classes.json names 0..=1"
            ),
            "{message}"
        );
        assert_eq!(crate::data::audit(dir.path()).unwrap().problems()[0].to_string(), message);
        data.load(1).unwrap();
    }
}
