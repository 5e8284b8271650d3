//! One split of a data set: which image belongs to which mask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::classes::Classes;
use crate::data::labels;
use crate::data::read::{Mask, RgbImage, read_image, read_mask};
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
    /// The labels as stored.
    pub mask: Mask,
}

/// One split, sorted by name. Opening it reads file names and `classes.json`, no picture.
#[derive(Clone, Debug)]
pub struct Dataset {
    root: PathBuf,
    split: String,
    classes: Classes,
    samples: Vec<SampleFiles>,
}

impl Dataset {
    /// Opens `ROOT/images/SPLIT` with `ROOT/masks/SPLIT` and `ROOT/classes.json`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`] where a folder or `classes.json` is missing or bad, the split is unknown or
    /// empty, two images or two masks share a name, a name is not UTF-8, or an image has no mask.
    pub fn open(root: impl AsRef<Path>, split: &str) -> Result<Self> {
        let root = root.as_ref();
        let classes = Classes::open(root)?;
        let folder = split_folder(root, split)?;
        let images = list_images(&folder)?;
        if images.is_empty() {
            return Err(Error::data(folder, "holds no image", "put .jpg or .png files there"));
        }
        let mask_folder = root.join("masks").join(split);
        let masks = list_masks(&mask_folder)?;
        let mut samples: Vec<SampleFiles> = Vec::with_capacity(images.len());
        let mut without = Vec::new();
        for image in images {
            let name = stem(&image);
            if let Some(other) = samples.last().filter(|other| other.name == name) {
                let problem = format!("shares its mask with `{}`", other.image.display());
                return Err(Error::data(image, problem, "remove or rename one of the two"));
            }
            let mask = masks.get(&name).cloned().unwrap_or_else(|| {
                without.push(samples.len());
                mask_folder.join(format!("{name}.png"))
            });
            samples.push(SampleFiles { name, image, mask });
        }
        if let [first, others @ ..] = &without[..] {
            let (first, others) = (&samples[*first], others.len());
            let also = if others == 0 { String::new() } else { format!(" (so do {others} more)") };
            let problem = format!("lacks its mask `{}`{also}", first.mask.display());
            return Err(Error::data(&first.image, problem, "add the mask or remove the image"));
        }
        Ok(Self { root: root.to_path_buf(), split: split.to_owned(), classes, samples })
    }

    /// The data set's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The split's name.
    #[must_use]
    pub fn split(&self) -> &str {
        &self.split
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &Classes {
        &self.classes
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
    /// As [`read_image`] and [`read_mask`]; [`Error::Data`] where the sizes differ or a label is neither a class nor the
    /// ignore index.
    pub fn load(&self, index: usize) -> Result<Sample> {
        let files = &self.samples[index];
        let image = read_image(&files.image)?;
        let mask = read_mask(&files.mask)?;
        if (image.width, image.height) != (mask.width, mask.height) {
            let problem = format!(
                "is {} x {} but its image is {} x {}",
                mask.width, mask.height, image.width, image.height
            );
            return Err(Error::data(&files.mask, problem, "redraw the mask over the image as it is stored"));
        }
        let unknown = labels::unknown(&labels::count(&mask.labels), &self.classes);
        if !unknown.is_empty() {
            let problem = labels::describe(&unknown, self.classes.len(), self.classes.ignore_index);
            return Err(Error::data(&files.mask, problem, labels::REMEDY));
        }
        Ok(Sample { image, mask })
    }
}

/// `ROOT/images/SPLIT`, where there is such a split.
pub(crate) fn split_folder(root: &Path, split: &str) -> Result<PathBuf> {
    let splits = list_splits(root)?;
    if splits.iter().any(|name| name == split) {
        return Ok(root.join("images").join(split));
    }
    let remedy = if splits.is_empty() {
        "make a folder for each split there, such as images/train and images/val".to_owned()
    } else {
        format!("choose among the splits there are: {}", splits.join(", "))
    };
    Err(Error::data(root.join("images"), format!("has no split `{split}`"), remedy))
}

/// The names of the folders in `ROOT/images`, sorted.
///
/// # Errors
/// [`Error::Io`] where `ROOT/images` cannot be listed.
pub fn list_splits(root: impl AsRef<Path>) -> Result<Vec<String>> {
    let folders = list(&root.as_ref().join("images"), Path::is_dir)?;
    Ok(folders.iter().map(|path| file_name(path)).collect())
}

/// The `.jpg`, `.jpeg` and `.png` files of a folder (capitals do not matter), sorted by name. Hidden files, which some
/// systems put beside pictures, are passed over.
///
/// # Errors
/// [`Error::Io`] where the folder cannot be listed; [`Error::Data`] where the name of one is not UTF-8.
pub fn list_images(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    list(folder.as_ref(), |path| path.is_file() && has_extension(path, &["jpg", "jpeg", "png"]))
}

/// The masks of a folder by the name that they share with their image (capitals of `.png` do not matter); none where
/// there is no such folder.
pub(crate) fn list_masks(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let files = list(folder, |path| path.is_file() && has_extension(path, &["png"]))?;
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
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
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

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    extensions.contains(&extension.as_str())
}

fn file_name(path: &Path) -> String {
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
            fixture::pair(&dir, "train", name, size.0, size.1, |x, y| ((x + y) % 3) as u8);
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
        fixture::pair(&dir, "val", "b", 4, 4, |x, _| x as u8 % 2);
        let data = Dataset::open(dir.path(), "val").unwrap();
        let message = data.load(0).unwrap_err().to_string();
        assert!(
            message.contains("a.png`: has the value 200 (1 pixel) where classes.json names 0..=1"),
            "{message}"
        );
        assert_eq!(crate::data::audit(dir.path()).unwrap().problems()[0].to_string(), message);
        data.load(1).unwrap();
    }
}
