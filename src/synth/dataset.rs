//! Writes scenes as a data set on disk: the only part of the generator that touches the file system.

use super::{CLASSES, Scene, scene};
use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Smallest and largest side of a picture, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 32..=4096;
/// The label that is left out of training; written to `classes.json`, never drawn.
const IGNORE_INDEX: u8 = 255;
/// What `classes.json` says about its origin, so that a folder of ours may be written again.
const GENERATOR: &str = "protoseg synth";

/// Writes `num_images` scenes of the series `seed` under `out`:
/// `classes.json`, `images/{train,val}/NAME.png` and `masks/{train,val}/NAME.png` (8-bit palette, pixel value = class
/// index). The last fifth (at least one of two or more) is the validation split.
///
/// A folder that holds an earlier street data set is replaced, be it whole or what an interrupted run has left; any
/// other folder that is not empty is refused.
///
/// # Errors
///
/// [`Error::Config`] for a size or number that cannot be drawn, [`Error::Data`] where `out` is something else's folder,
/// [`Error::Io`] where it cannot be written.
pub fn write_dataset(out: &Path, num_images: usize, seed: u32, width: usize, height: usize) -> Result<()> {
    if num_images == 0 || u32::try_from(num_images).is_err() {
        return Err(Error::config(
            format!(
                "--images is {num_images}, but a data set needs at least one picture and fewer than 2^32"
            ),
            "give a number such as --images 400",
        ));
    }
    if !SIDES.contains(&width) || !SIDES.contains(&height) {
        return Err(Error::config(
            format!(
                "--size is {width}x{height}, but each side must be {} to {} pixels",
                SIDES.start(),
                SIDES.end()
            ),
            "give a size such as --size 256x160",
        ));
    }
    claim(out)?;
    let num_val = if num_images >= 2 { (num_images / 5).max(1) } else { 0 };
    let num_train = num_images - num_val;
    for part in ["images", "masks"] {
        for split in ["train", "val"] {
            let folder = out.join(part).join(split);
            disk::create_folders(&folder).map_err(|e| Error::io("create the folder", &folder, e))?;
        }
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= num_images {
                return Ok(());
            }
            let split = if index < num_train { "train" } else { "val" };
            let written = write_pair(out, split, index, &scene(width, height, seed, index as u32));
            if written.is_err() {
                // The others stop at their next picture.
                next.store(num_images, Ordering::Relaxed);
            }
            written?;
        }
    };
    let num_threads = std::thread::available_parallelism().map_or(1, usize::from).min(num_images);
    if num_threads < 2 {
        return work();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..num_threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Makes `out` a folder of ours without pictures. The list is there before the first picture, so that a run that was
/// interrupted can be repeated.
fn claim(out: &Path) -> Result<()> {
    clear(out)?;
    disk::create_folders(out).map_err(|e| Error::io("create the folder", out, e))?;
    write_atomic(out.join("classes.json"), classes_json().as_bytes())
}

/// Empties `out` of an earlier data set of ours; refuses a folder with anything else in it.
fn clear(out: &Path) -> Result<()> {
    let entries = match disk::list(out) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("read the output folder", out, e)),
    };
    if entries.is_empty() {
        return Ok(());
    }
    let list = out.join("classes.json");
    let ours = disk::read_text(&list)
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|json| json["generator"] == GENERATOR)
        && entries
            .iter()
            .all(|path| ["images", "masks", "classes.json"].map(|part| out.join(part)).contains(path));
    if !ours {
        return Err(Error::data(
            out,
            "the folder is not empty and holds no street data set of an earlier run",
            "choose a new folder for --out, or empty this one yourself",
        ));
    }
    // The list goes last, so that an interrupted removal still shows whose folder this is.
    for part in ["images", "masks"] {
        let folder = out.join(part);
        if disk::exists(&folder) {
            disk::remove_folder(&folder).map_err(|e| Error::io("remove the earlier data set", &folder, e))?;
        }
    }
    disk::remove(&list).map_err(|e| Error::io("remove the earlier class list", &list, e))
}

fn write_pair(out: &Path, split: &str, index: usize, scene: &Scene) -> Result<()> {
    let name = format!("street{index:05}.png");
    write_png(&out.join("images").join(split).join(&name), scene, png::ColorType::Rgb, &scene.rgb)?;
    write_png(&out.join("masks").join(split).join(&name), scene, png::ColorType::Indexed, &scene.labels)
}

fn write_png(path: &Path, scene: &Scene, color: png::ColorType, data: &[u8]) -> Result<()> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, scene.width as u32, scene.height as u32);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    if color == png::ColorType::Indexed {
        encoder.set_palette(CLASSES.iter().flat_map(|(_, color)| *color).collect::<Vec<u8>>());
    }
    let failed = |e: png::EncodingError| Error::io("write the picture", path, e.into());
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(data).map_err(failed)?;
    writer.finish().map_err(failed)?;
    // The folder was emptied before.
    disk::append(path, &bytes).map_err(|e| Error::io("write the picture", path, e))
}

fn classes_json() -> String {
    let classes: Vec<_> = CLASSES
        .iter()
        .enumerate()
        .map(|(id, (name, color))| serde_json::json!({ "id": id, "name": name, "color": color }))
        .collect();
    let json =
        serde_json::json!({ "generator": GENERATOR, "ignore_index": IGNORE_INDEX, "classes": classes });
    format!("{json:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::fs;

    #[test]
    fn an_interrupted_run_can_be_repeated() {
        let dir = TempDir::new("synth-interrupted");
        let out = dir.path().join("street");
        claim(&out).unwrap();
        fs::create_dir_all(out.join("images/train")).unwrap();
        fs::write(out.join("images/train/street00007.png"), "half of a pict").unwrap();
        write_dataset(&out, 2, 1, 32, 32).unwrap();
        assert_eq!(fs::read_dir(out.join("images/train")).unwrap().count(), 1);
        assert!(out.join("images/train/street00000.png").exists());
    }
}
