//! `fit`: a model from a frozen backbone, without a gradient.

use std::path::Path;
use std::time::Instant;

use protoseg::nn::{Arch, Upsampling};
use protoseg::train::fit::{FitOptions, Fitted, FittedClass};
use protoseg::words::counted;
use protoseg::{Error, Result};
use serde::Serialize;

use crate::args::{Cli, FitArgs};

/// With --json.
#[derive(Serialize)]
struct Document<'a> {
    model: &'a Path,
    classes: &'a [FittedClass],
    prototypes: usize,
    embedding: usize,
    images: usize,
    warnings: &'a [String],
    seconds: f64,
    adapter: &'a str,
}

pub async fn fit(args: &FitArgs, cli: &Cli) -> Result<()> {
    let start = Instant::now();
    let options = FitOptions {
        backbone: args.backbone.clone(),
        arch: Arch::parse(&args.arch)?,
        hrnet_upsampling: Upsampling::parse(&args.hrnet_upsampling)?,
        data: args.data.clone(),
        masks_of: args.masks_of.options(),
        split: args.split.clone(),
        prototypes: usize::from(args.prototypes),
        embedding: args.embedding.map(usize::from),
        size: args.size,
        images: args.images.unwrap_or(0) as usize,
        seed: args.seed,
    };
    check(args)?;
    let gpu = crate::open(cli).await?;
    let bar = crate::progress::bar(0, "fit");
    let mut progress = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let found = protoseg::train::fit::fit(&gpu, &options, &mut progress).await;
    bar.finish_and_clear();
    let found = found?;
    found.save(&args.out)?;
    for text in &found.warnings {
        eprintln!("warning: {text}");
    }
    let seconds = start.elapsed().as_secs_f64();
    let net = &found.spec.net;
    if args.json {
        return crate::print_json(&Document {
            model: &args.out,
            classes: &found.classes,
            prototypes: net.prototypes,
            embedding: net.embedding,
            images: found.images,
            warnings: &found.warnings,
            seconds,
            adapter: gpu.name(),
        });
    }
    print(&found);
    say!("{} in {seconds:.1} s on {}", counted(found.images, "image"), gpu.name());
    say!("model: {}", args.out.display());
    Ok(())
}

/// What would be found wrong only after the work.
fn check(args: &FitArgs) -> Result<()> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(&args.backbone).is_some_and(|path| real(&args.out) == Some(path)) {
        return Err(Error::model(
            &args.out,
            "the model would replace the backbone's weights",
            "give another --out",
        ));
    }
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::data(
            folder,
            "there is no such folder for --out",
            "make it first, or give another",
        ));
    }
    Ok(())
}

fn print(found: &Fitted) {
    let net = &found.spec.net;
    say!("{:24} {:>12} {:>12}", "class", "pixels", "prototypes");
    for class in &found.classes {
        say!("{:24} {:>12} {:>12}", class.name, class.pixels, class.prototypes);
    }
    say!("{} prototypes per class in {} dimensions", net.prototypes, net.embedding);
}
