//! The images that are opened: where each comes from, and how it is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::{Dataset, RgbImage, decode_upright, list_images, list_splits};
use crate::disk;
use crate::error::{Error, Result};
use crate::synth;

use super::files::Files;

/// Columns and rows of a drawn scene.
const SCENE: [usize; 2] = [480, 360];

/// Number of an opened image, never used twice.
pub type ImageId = u64;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A file with its mask in a data set.
    Sample(Arc<Dataset>, usize),
    /// A street scene that is drawn.
    Scene {
        /// Series.
        seed: u32,
        /// Number in it.
        index: u32,
    },
}

/// The labels that an image came with.
#[derive(Clone, Debug)]
pub struct Truth {
    /// `[H*W]`, indices into `names`.
    pub labels: Vec<u16>,
    /// Names of the data set's classes.
    pub names: Vec<String>,
}

impl Origin {
    /// A short name for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Sample(data, index) => data.samples()[*index].name.clone(),
            Self::Scene { index, .. } => format!("scene {}", index + 1),
        }
    }

    /// What tells it from others.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Sample(data, index) => data.samples()[*index].image.display().to_string(),
            Self::Scene { seed, index } => format!("drawn street scene {index} of series {seed}"),
        }
    }

    /// Reads or draws the image, with its labels if it has some.
    ///
    /// # Errors
    /// Those of the file.
    pub fn load(&self, files: &dyn Files) -> Result<(RgbImage, Option<Truth>)> {
        match self {
            Self::File(path) => Ok((decode_upright(path, &files.read(path)?)?, None)),
            Self::Sample(data, index) => {
                let sample = data.load(*index)?;
                let names = data.classes().classes.iter().map(|class| class.name.clone()).collect();
                Ok((sample.image, Some(Truth { labels: sample.mask.labels, names })))
            }
            Self::Scene { seed, index } => {
                let scene = synth::scene(SCENE[0], SCENE[1], *seed, *index);
                let image = RgbImage { width: scene.width, height: scene.height, rgb: scene.rgb };
                let names = synth::CLASSES.iter().map(|(name, _)| (*name).to_owned()).collect();
                Ok((image, Some(Truth { labels: scene.labels.into_iter().map(u16::from).collect(), names })))
            }
        }
    }
}

/// An opened image.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub id: ImageId,
    /// Where it comes from.
    pub origin: Origin,
    /// Short name.
    pub name: String,
}

/// The opened images, in the order of the filmstrip.
#[derive(Default)]
pub struct Album {
    entries: Vec<Entry>,
    next: ImageId,
}

impl Album {
    /// Adds the images that are not in it yet and returns the number of the first of all, new or not.
    pub fn add(&mut self, origins: impl IntoIterator<Item = Origin>) -> Option<ImageId> {
        let mut places: BTreeMap<String, ImageId> =
            self.entries.iter().map(|entry| (entry.origin.place(), entry.id)).collect();
        let mut first = None;
        for origin in origins {
            let id = *places.entry(origin.place()).or_insert(self.next);
            first = first.or(Some(id));
            if id == self.next {
                let name = origin.name();
                self.entries.push(Entry { id, origin, name });
                self.next += 1;
            }
        }
        first
    }

    /// Takes an image out.
    pub fn remove(&mut self, id: ImageId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The image with this number.
    #[must_use]
    pub fn get(&self, id: ImageId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The image `steps` after `id`, round at the ends.
    #[must_use]
    pub fn neighbour(&self, id: ImageId, steps: isize) -> Option<ImageId> {
        let count = self.entries.len() as isize;
        let at = self.entries.iter().position(|entry| entry.id == id)? as isize;
        Some(self.entries[(at + steps).rem_euclid(count) as usize].id)
    }
}

/// What a path that was given or dropped turns out to be.
#[derive(Debug)]
pub enum Opened {
    /// A model file.
    Model(PathBuf),
    /// A configuration or run folder to train.
    Config(PathBuf),
    /// Images.
    Images(Vec<Origin>),
}

/// Looks at what `path` is: a model, a configuration, a run folder, an image, a data set (of which the split `val` is opened, or its
/// last) or a folder of images.
///
/// # Errors
/// [`Error::Data`] where it is none of these.
pub fn open(path: &Path) -> Result<Opened> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !disk::exists(path) {
        return Err(Error::data(path, "there is no such file or folder", "check the path"));
    }
    if disk::is_folder(path) {
        return open_folder(path);
    }
    match extension.as_str() {
        "safetensors" => Ok(Opened::Model(path.to_path_buf())),
        "toml" => Ok(Opened::Config(path.to_path_buf())),
        "png" | "jpg" | "jpeg" => Ok(Opened::Images(vec![Origin::File(path.to_path_buf())])),
        _ => Err(Error::data(
            path,
            "is neither an image nor a model nor a configuration",
            "give a .png, .jpg, .safetensors or .toml file, or a folder",
        )),
    }
}

fn open_folder(path: &Path) -> Result<Opened> {
    if disk::is_file(&path.join("config.toml")) && disk::is_file(&path.join("log.jsonl")) {
        return Ok(Opened::Config(path.join("config.toml")));
    }
    // The classes make a folder a data set; whatever else is wrong with it is said.
    match list_splits(path) {
        Ok(splits) if !splits.is_empty() => {
            let wanted = ["val", "validation", "valid", "test"];
            let split = wanted.iter().find_map(|&want| splits.iter().find(|split| split.as_str() == want));
            let split = split.unwrap_or(&splits[splits.len() - 1]);
            let data = Arc::new(Dataset::open(path, split)?);
            Ok(Opened::Images(
                (0..data.len()).map(|index| Origin::Sample(Arc::clone(&data), index)).collect(),
            ))
        }
        _ => {
            let files = list_images(path)?;
            if files.is_empty() {
                let remedy = "give a folder with images, or a data set with classes.json, images/ and masks/";
                return Err(Error::data(path, "holds no .jpg or .png image", remedy));
            }
            Ok(Opened::Images(files.into_iter().map(Origin::File).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use crate::viewer::disk::Disk;

    #[test]
    fn the_filmstrip_goes_round() {
        let mut album = Album::default();
        let scenes = (0..3).map(|index| Origin::Scene { seed: 1, index });
        assert_eq!(album.add(scenes), Some(0));
        assert_eq!(album.add([]), None);
        assert_eq!(album.add([Origin::Scene { seed: 1, index: 2 }]), Some(2), "it is there");
        assert_eq!(
            [album.neighbour(0, -1), album.neighbour(2, 1), album.neighbour(9, 1)],
            [Some(2), Some(0), None]
        );
        album.remove(1);
        assert_eq!(album.neighbour(0, 1), Some(2));
        assert_eq!(album.add([Origin::Scene { seed: 2, index: 0 }]), Some(3), "a number is not used twice");
    }

    #[test]
    fn a_scene_has_an_image_and_its_labels() {
        let (image, truth) = Origin::Scene { seed: 3, index: 1 }.load(&Disk).expect("drawn");
        let truth = truth.expect("labels");
        assert_eq!((image.rgb.len(), truth.labels.len()), (480 * 360 * 3, 480 * 360));
        assert_eq!(truth.names.len(), synth::CLASSES.len());
    }

    #[test]
    fn what_is_nothing_of_ours_is_said_in_words() {
        let dir = TempDir::new("album");
        let said = |path: &Path| open(path).unwrap_err().to_string();
        assert!(said(&dir.path().join("none")).contains("no such file"));
        assert!(said(dir.path()).contains("holds no .jpg or .png image"), "{}", said(dir.path()));
        std::fs::write(dir.path().join("notes.txt"), "").unwrap();
        assert!(said(&dir.path().join("notes.txt")).contains("neither an image"));
        std::fs::write(dir.path().join("a.PNG"), "").unwrap();
        assert!(matches!(open(&dir.path().join("a.PNG")), Ok(Opened::Images(list)) if list.len() == 1));
    }
}
