//! `predict`: maps of images as PNG files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use protoseg::data::{list_images, read_upright, write_mask_png, write_rgb_png};
use protoseg::explain::overlay::prototype_map;
use protoseg::infer::{Ensemble, Model, Prediction};
use protoseg::words::counted;
use protoseg::{Error, Result, model_file};

use crate::args::{Cli, Map, PredictArgs};

pub async fn predict(args: &PredictArgs, cli: &Cli) -> Result<()> {
    let files = files(args)?;
    let gpu = crate::open(cli).await?;
    let mut model = Model::open(&gpu, &args.model)?;
    if let Map::Prototypes | Map::Similarity | Map::Unknown = args.map {
        let name = args.map.to_possible_value().map_or(String::new(), |v| v.get_name().to_owned());
        model.needs_prototypes(&format!("--map {name}"))?;
    }
    let window = args.sliding.then(|| model.spec().window());
    let ensemble = Ensemble { scales: args.scales.clone(), flip: args.flip, window };
    ensemble.check()?;
    if args.map != Map::Classes && !ensemble.is_plain() {
        return Err(Error::config(
            "--sliding, --scales and --flip average the probabilities of classes, and another --map is wanted",
            "leave them out, or use --map classes",
        ));
    }
    std::fs::create_dir_all(&args.out).map_err(|e| Error::io("create the folder", &args.out, e))?;
    if args.map != Map::Tensors {
        let images = files.values().map(PathBuf::as_path);
        keep_files(images, files.keys().map(String::as_str), &args.out, "--out")?;
    }
    let ending = if args.map == Map::Tensors { "safetensors" } else { "png" };
    let bar = crate::progress::bar(files.len() as u64, "predict");
    for (name, file) in &files {
        let image = read_upright(file)?;
        let path = args.out.join(format!("{name}.{ending}"));
        if args.map == Map::Classes {
            let classes = if ensemble.is_plain() {
                model.classes(&image).await?
            } else {
                ensemble.classes(&mut model.predictor, &mut model.store, &image).await?
            };
            let labels: Vec<u16> = classes.iter().map(|&c| c as u16).collect();
            write_mask_png(&path, &labels, image.width, image.height, &model.spec().classes)?;
        } else if args.map == Map::Tensors {
            model_file::write(&path, &model.tensors(&image).await?, &BTreeMap::new())?;
        } else {
            let found = model.predict(&image).await?;
            write_rgb_png(&path, &picture(args.map, &found, &model), found.width, found.height)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    eprintln!("wrote {} to {}", counted(files.len(), "map"), args.out.display());
    Ok(())
}

/// Every image by the name of its output; two of one name would overwrite each other.
fn files(args: &PredictArgs) -> Result<BTreeMap<String, PathBuf>> {
    let mut out = BTreeMap::new();
    for path in &args.images {
        let list = if path.is_dir() { list_images(path)? } else { vec![path.clone()] };
        if list.is_empty() {
            return Err(Error::data(path, "holds no .jpg or .png image", "give a folder with images"));
        }
        for file in list {
            if !file.is_file() {
                return Err(Error::data(
                    &file,
                    "there is no such image",
                    "give the path of an image, or of a folder of images",
                ));
            }
            let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some(other) = out.insert(name.clone(), file.clone()) {
                let problem = format!("would be written to {name}.png, and so would `{}`", other.display());
                return Err(Error::data(file, problem, "predict them into two folders"));
            }
        }
    }
    Ok(out)
}

/// Refuses an output folder, the value of the option `option`, where `NAME.png` would replace one of `files`.
pub fn keep_files<'a>(
    files: impl Iterator<Item = &'a Path>,
    mut names: impl Iterator<Item = &'a str>,
    out: &Path,
    option: &str,
) -> Result<()> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let files: BTreeSet<PathBuf> = files.filter_map(real).collect();
    let replaced =
        names.find_map(|name| real(&out.join(format!("{name}.png"))).filter(|path| files.contains(path)));
    match replaced {
        None => Ok(()),
        Some(file) => Err(Error::data(
            file,
            "a map would replace this file",
            format!("give another folder with {option}"),
        )),
    }
}

/// The RGB picture of a map, three bytes per pixel.
fn picture(map: Map, found: &Prediction, model: &Model) -> Vec<u8> {
    let grey = |share: f32| [(255.0 * share.clamp(0.0, 1.0)).round() as u8; 3];
    match map {
        Map::Classes | Map::Prototypes => {
            let colors: Vec<_> = model.spec().classes.classes.iter().map(|c| c.color).collect();
            let nearest = (found.classes.as_slice(), found.prototypes.as_slice());
            let (width, height) = (found.width as u32, found.height as u32);
            prototype_map(nearest, width, height, &colors, model.spec().net.prototypes).into_raw()
        }
        Map::Similarity => found.similarity.iter().flat_map(|s| grey(0.5 + 0.5 * s)).collect(),
        // A logit ahead by 4 is a probability of 98 % against the runner-up.
        Map::Confidence => found.margin.iter().flat_map(|m| grey(m / 4.0)).collect(),
        Map::Unknown => found.similarity.iter().flat_map(|s| grey(1.0 - s)).collect(),
        Map::Tensors => unreachable!("tensors are no picture"),
    }
}
