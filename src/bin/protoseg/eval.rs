//! `eval`: scores of a model on a split.

use std::path::Path;
use std::time::Instant;

use protoseg::data::{Dataset, write_mask_png};
use protoseg::infer::{
    BOUNDARY_TOLERANCE, BoundaryF, ClassScore, Confusion, Ensemble, Evaluated, Model, Scores,
    evaluate_ensemble,
};
use protoseg::words::{counted, listed};
use protoseg::{Error, Result};
use serde::Serialize;

use crate::args::{Cli, EvalArgs};
use crate::prototypes;

/// Classes that a sentence names; beside it stands the table, or a data set.
const MAX_NAMES: usize = 24;

/// The contract's JSON document.
#[derive(Serialize)]
struct Document<'a> {
    miou: f64,
    macc: f64,
    aacc: f64,
    /// Mean over the classes that have one.
    mean_boundary_f: Option<f64>,
    /// As a fraction of the image's diagonal.
    boundary_tolerance: f64,
    classes: Vec<ClassDocument<'a>>,
    /// Names of the classes without a labelled pixel, which no mean counts.
    absent: Vec<&'a str>,
    confusion: ConfusionDocument<'a>,
    /// `null` for heads without prototypes.
    prototypes: Option<prototypes::Document<'a>>,
    images: usize,
    seconds: f64,
    adapter: &'a str,
}

#[derive(Serialize)]
struct ClassDocument<'a> {
    #[serde(flatten)]
    score: &'a ClassScore,
    boundary_f: Option<f64>,
}

/// Most classes whose whole confusion matrix is told; of more, the pairs that occur.
const MAX_MATRIX: usize = 256;

/// Rows are true classes, columns predicted ones, both in the order of `classes`.
#[derive(Serialize)]
struct ConfusionDocument<'a> {
    classes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixels: Option<Vec<Vec<u64>>>,
    /// Numbers of the true and of the predicted class, and their pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<Vec<[u64; 3]>>,
}

pub async fn eval(args: &EvalArgs, cli: &Cli) -> Result<()> {
    let data = Dataset::open_with(&args.data, &args.split, &args.masks_of.options())?;
    let gpu = crate::open(cli).await?;
    let mut model = Model::open(&gpu, &args.model)?;
    if args.prototypes {
        model.needs_prototypes("--prototypes")?;
    }
    let data = labelled(&model, data)?;
    let window = args.sliding.then(|| model.spec().window());
    let ensemble = Ensemble { scales: args.scales.clone(), flip: args.flip, window };
    ensemble.check()?;
    if let Some(folder) = &args.masks {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
        let files = data.samples().iter().flat_map(|s| [&s.image, &s.mask]).map(|file| file.as_path());
        crate::predict::keep_files(files, data.samples().iter().map(|s| s.name.as_str()), folder, "--masks")?;
    }
    let bar = crate::progress::bar(data.len() as u64, "eval");
    let start = Instant::now();
    let images: Vec<usize> = (0..data.len()).collect();
    let mut boundary = BoundaryF::new(model.spec().num_classes());
    let mut usage = vec![0; model.spec().num_classes() * model.spec().net.prototypes];
    let mut each = |seen: &Evaluated<'_>| {
        boundary.add(seen.labels, seen.predicted, seen.size);
        if let Some(folder) = &args.masks {
            save(&data, seen, folder)?;
        }
        bar.inc(1);
        Ok(())
    };
    let wanted = (args.json || args.prototypes) && model.spec().head.kind.has_prototypes();
    let Model { predictor, store } = &mut model;
    let count = wanted.then_some(&mut usage[..]);
    let confusion = evaluate_ensemble(predictor, store, &data, &images, &ensemble, count, &mut each).await?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let names: Vec<String> = data.classes().classes.iter().map(|c| c.name.clone()).collect();
    let scores = confusion.scores(&names);
    if scores.classes.iter().all(|class| class.pixels == 0) {
        let problem = format!("has no labelled pixel in the split `{}`", data.split());
        return Err(Error::data(data.root(), problem, "choose a split with labels"));
    }
    let found = if wanted { prototypes::of_model(&model, &usage).await? } else { Vec::new() };
    if args.json {
        let prototypes = wanted.then(|| prototypes::document(&names, &found));
        let about = (data.len(), seconds, gpu.name());
        return crate::print_json(&document(&scores, &boundary, &confusion, prototypes, about));
    }
    print(&scores, Some(&boundary));
    if let Some(limit) = args.confusion {
        print_worst(&scores, &confusion, limit as usize);
    }
    if args.prototypes {
        prototypes::print(&names, &found);
    }
    if let Some(folder) = &args.masks {
        eprintln!("wrote {} to {}", counted(data.len(), "mask"), folder.display());
    }
    say!("{} in {seconds:.1} s on {}", counted(data.len(), "image"), gpu.name());
    Ok(())
}

fn document<'a>(
    scores: &'a Scores,
    boundary: &BoundaryF,
    confusion: &Confusion,
    prototypes: Option<prototypes::Document<'a>>,
    (images, seconds, adapter): (usize, f64, &'a str),
) -> Document<'a> {
    let classes = std::iter::zip(&scores.classes, boundary.scores());
    let is_small = scores.classes.len() <= MAX_MATRIX;
    Document {
        miou: scores.miou,
        macc: scores.macc,
        aacc: scores.aacc,
        mean_boundary_f: boundary.mean(),
        boundary_tolerance: BOUNDARY_TOLERANCE,
        classes: classes.map(|(score, boundary_f)| ClassDocument { score, boundary_f }).collect(),
        absent: absent(scores),
        confusion: ConfusionDocument {
            classes: scores.classes.iter().map(|c| c.name.as_str()).collect(),
            pixels: is_small.then(|| confusion.rows()),
            pairs: (!is_small).then(|| confusion.pairs().collect()),
        },
        prototypes,
        images,
        seconds,
        adapter,
    }
}

/// Names of the classes without a labelled pixel.
fn absent(scores: &Scores) -> Vec<&str> {
    scores.classes.iter().filter(|c| c.pixels == 0).map(|c| c.name.as_str()).collect()
}

/// Writes what was predicted as a mask of the data set.
fn save(data: &Dataset, seen: &Evaluated<'_>, folder: &Path) -> Result<()> {
    let path = folder.join(format!("{}.png", data.samples()[seen.index].name));
    let ids: Vec<u16> = seen.predicted.iter().map(|&class| class as u16).collect();
    let [height, width] = seen.size;
    write_mask_png(path, &ids, width, height, data.classes())
}

/// The data set with the labels that the model was trained on. The classes of the two must be the same ones in the same order.
pub fn labelled(model: &Model, data: Dataset) -> Result<Dataset> {
    let names = |c: &protoseg::data::Classes| c.classes.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let classes = &model.spec().classes;
    let data = data.labelled_as(classes);
    let (ours, theirs) = (names(classes), names(data.classes()));
    if ours == theirs {
        return Ok(data);
    }
    // What a long list has in common would hide what differs.
    let same = std::iter::zip(&ours, &theirs).take_while(|(a, b)| a == b).count();
    let from = if same < MAX_NAMES { 0 } else { same };
    let beyond = if from > 0 { format!(" from number {from} on") } else { String::new() };
    let list = |names: &[String]| match &names[from..] {
        [] => "none".to_owned(),
        names => listed(names, MAX_NAMES),
    };
    let problem = format!("its classes{beyond} are {}, the model's are {}", list(&theirs), list(&ours));
    let labels = &classes.labels;
    let (kind, here) = ((labels.layout, labels.masks), (data.layout(), data.masks()));
    if labels.given.is_some() && kind != here {
        let remedy = format!(
            "the model has a label map of its own for {} masks of {}: choose them with --layout and --mask-kind",
            kind.0, kind.1
        );
        return Err(Error::data(data.root(), problem, remedy));
    }
    Err(Error::data(data.root(), problem, "use a model that was trained on these classes"))
}

/// The table of scores for a person.
pub fn print(scores: &Scores, boundary: Option<&BoundaryF>) {
    let percent = |x: Option<f64>, none: &str| x.map_or(none.into(), |x| format!("{:.2}", 100.0 * x));
    // A class that fills whole images has no boundary, although it is there.
    let boundary_scores = boundary.map_or(Vec::new(), BoundaryF::scores);
    let column = |text: &str| if boundary.is_some() { format!(" {text:>12}") } else { String::new() };
    say!("{:24} {:>8} {:>8}{} {:>12}", "class", "IoU %", "acc %", column("boundary F %"), "pixels");
    for (index, class) in scores.classes.iter().enumerate() {
        let none = if class.pixels == 0 { "absent" } else { "none" };
        say!(
            "{:24} {:>8} {:>8}{} {:>12}",
            class.name,
            percent(class.iou, none),
            percent(class.acc, none),
            column(&percent(boundary_scores.get(index).copied().flatten(), none)),
            class.pixels
        );
    }
    say!(
        "mIoU {:.2} %   mAcc {:.2} %   aAcc {:.2} %{}",
        100.0 * scores.miou,
        100.0 * scores.macc,
        100.0 * scores.aacc,
        boundary.and_then(BoundaryF::mean).map_or(String::new(), |f| format!(
            "   boundary F {:.2} % (within {BOUNDARY_TOLERANCE} of the diagonal)",
            100.0 * f
        ))
    );
    let absent = absent(scores);
    if !absent.is_empty() {
        say!("absent from the images, in no mean: {}", listed(&absent, MAX_NAMES));
    }
}

/// Which class is taken for which.
fn print_worst(scores: &Scores, confusion: &Confusion, limit: usize) {
    let worst = confusion.worst(limit);
    if worst.is_empty() {
        say!("no pixel is taken for one of another class");
        return;
    }
    say!("{:24} {:24} {:>8} {:>12}", "pixels of", "taken for", "share %", "pixels");
    for mistake in worst {
        let name = |class: usize| &scores.classes[class].name;
        let (label, predicted) = (name(mistake.label), name(mistake.predicted));
        say!("{label:24} {predicted:24} {:>8.2} {:>12}", 100.0 * mistake.share, mistake.pixels);
    }
}
