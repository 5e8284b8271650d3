//! `eval`: scores of a model on a split.

use std::time::Instant;

use protoseg::data::Dataset;
use protoseg::infer::{Ensemble, Model, Scores, evaluate_ensemble};
use protoseg::{Error, Result};
use serde::Serialize;

use crate::args::{Cli, EvalArgs};

/// The contract's JSON document.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    scores: Scores,
    images: usize,
    seconds: f64,
    adapter: String,
}

pub async fn eval(args: &EvalArgs, cli: &Cli) -> Result<()> {
    let data = Dataset::open(&args.data, &args.split)?;
    let gpu = crate::open(cli).await?;
    let mut model = Model::open(&gpu, &args.model)?;
    same_classes(&model, &data)?;
    let window = args.sliding.then(|| model.spec().provenance.crop);
    let ensemble = Ensemble { scales: args.scales.clone(), flip: args.flip, window };
    ensemble.check()?;
    let bar = crate::progress::bar(data.len() as u64, "eval");
    let start = Instant::now();
    let Model { predictor, store } = &mut model;
    let mut tick = |done: usize| bar.set_position(done as u64);
    let images: Vec<usize> = (0..data.len()).collect();
    let scores = evaluate_ensemble(predictor, store, &data, &images, &ensemble, &mut tick).await?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let adapter = gpu.name().to_owned();
        return crate::print_json(&Document { scores, images: data.len(), seconds, adapter });
    }
    print(&scores);
    say!("{} images in {seconds:.1} s on {}", data.len(), gpu.name());
    Ok(())
}

/// The classes of model and data set must be the same ones in the same order.
pub fn same_classes(model: &Model, data: &Dataset) -> Result<()> {
    let names = |c: &protoseg::data::Classes| c.classes.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let (ours, theirs) = (names(&model.spec().classes), names(data.classes()));
    if ours == theirs {
        return Ok(());
    }
    let problem = format!("its classes are {}, the model's are {}", theirs.join(", "), ours.join(", "));
    Err(Error::data(data.root(), problem, "use a model that was trained on these classes"))
}

/// The table of scores for a person.
pub fn print(scores: &Scores) {
    let percent = |x: Option<f64>| x.map_or("absent".into(), |x| format!("{:6.2}", 100.0 * x));
    say!("{:24} {:>8} {:>8} {:>12}", "class", "IoU %", "acc %", "pixels");
    for class in &scores.classes {
        say!("{:24} {:>8} {:>8} {:>12}", class.name, percent(class.iou), percent(class.acc), class.pixels);
    }
    say!(
        "mIoU {:.2} %   mAcc {:.2} %   aAcc {:.2} %",
        100.0 * scores.miou,
        100.0 * scores.macc,
        100.0 * scores.aacc
    );
}
