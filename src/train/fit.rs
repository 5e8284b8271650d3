//! A model without a gradient: the backbone stays as it is, its features are streamed once over a split, and projection and
//! prototypes are worked out from a sample of each class's pixels.

mod linear;
mod projection;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::augment::MAX_CROP;
use crate::data::{AugmentSettings, DataOptions, Dataset, Loader, LoaderSettings, audit_with};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::head::{HeadOptions, LogitKind, ProjNorm};
use crate::model::{
    FeatureStep, ModelSpec, NetOptions, PROTOTYPES, Provenance, load_backbone, read_spec, record_network,
    usual_normalisation, write_model,
};
use crate::model_file::{self, Tensor, Tensors};
use crate::nn::{Arch, Builder, LINEAR, Mode, Neck, Upsampling, Weights};
use crate::proto::{ClassSamples, Profile};
use crate::tape::{DType, Keep, Plan, Store, Tape, tuned_caps};

use projection::Projection;

/// Longest side of the crops that are looked at unless a size is given: what is kept of one fits a browser's buffers.
const MAX_SIDE: usize = 640;

/// Dimension of the embedding at least and at most, unless it is given. On CamVid (11 classes) 24 to 32 are best and 64 lose a
/// point of mIoU: what lies behind the first directions is noise.
const EMBEDDING: [usize; 2] = [32, 256];

/// Host memory for the sample of all classes, and the pixels per class that it is spent on at least and at most.
const SAMPLE_BYTES: usize = 256 << 20;
const SAMPLES: [usize; 2] = [512, 2048];

/// Threads that decode images: one frozen pass takes longer than decoding.
const NUM_THREADS: usize = 2;

/// What a model is fitted to and from.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Backbone weights: safetensors with the architecture's own names, such as a model file.
    pub backbone: PathBuf,
    /// Their architecture.
    pub arch: Arch,
    /// How an HRNet enlarges its coarse branches; a model's backbone does as in the model.
    pub hrnet_upsampling: Upsampling,
    /// The data set's folder.
    pub data: PathBuf,
    /// Its layout and what the values of its masks mean.
    pub masks_of: DataOptions,
    /// The split whose labels are used.
    pub split: String,
    /// Prototypes K per class.
    pub prototypes: usize,
    /// Dimension D of the embedding at most; `None` for the number of classes, within 32 and 256.
    pub embedding: Option<usize>,
    /// Height and width that images are cut or padded to; `None` for those of the first, up to 640 each.
    pub size: Option<[usize; 2]>,
    /// Images that are looked at, a random choice; 0 for all.
    pub images: usize,
    /// Seed of everything random.
    pub seed: u32,
}

/// What became of one class.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FittedClass {
    /// Its name.
    pub name: String,
    /// Its labelled pixels at the resolution of the features.
    pub pixels: u32,
    /// Its prototypes; the others are empty and nearest to nothing.
    pub prototypes: usize,
}

/// A fitted model.
pub struct Fitted {
    /// Its description.
    pub spec: ModelSpec,
    /// Its weights.
    pub tensors: Tensors,
    /// One entry per class.
    pub classes: Vec<FittedClass>,
    /// Images that were looked at.
    pub images: usize,
    /// What to look at, in one sentence each.
    pub warnings: Vec<String>,
}

impl Fitted {
    /// Writes the model file.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_model(&self.tensors, &self.spec, path)
    }
}

/// Fits a model; `progress` is told the images done and their number. The same options give the same bits on one adapter.
///
/// # Errors
/// The first problem with data, weights or options, before anything is computed.
pub async fn fit(
    gpu: &Arc<Gpu>,
    options: &FitOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Fitted> {
    let audit = audit_with(&options.data, &[options.split.as_str()], &options.masks_of)?;
    audit.verdict()?;
    let data = Arc::new(Dataset::open_with(&options.data, &options.split, &options.masks_of)?);
    let mut spec = describe(options, &data)?;
    spec.check()?;
    let (samples, features) = stream(gpu, &spec, options, &data, progress).await?;
    let projection = Projection::fit(&samples, features, spec.net.prototypes, spec.net.embedding)?;
    let mut warnings = audit.warnings();
    let d = projection.dimension();
    if d < spec.net.embedding {
        let of = spec.net.embedding;
        warnings.push(format!(
            "the embedding has {d} dimensions instead of {of}: its classes' centres span no more"
        ));
    }
    (spec.net.embedding, spec.net.width) = (d, d);
    let num_protos = spec.net.prototypes;
    let mut protos = vec![0.0; spec.num_classes() * num_protos * d];
    let set = samples.map(d, |row| projection.embed(row)).fill(&mut protos, num_protos);
    let class = |(class, (pixels, prototypes)): (&crate::data::ClassInfo, (u32, usize))| FittedClass {
        name: class.name.clone(),
        pixels,
        prototypes,
    };
    let classes: Vec<FittedClass> =
        spec.classes.classes.iter().zip(samples.seen().zip(set)).map(class).collect();
    warnings.extend(classes.iter().filter_map(|class| lacking(class, num_protos)));
    let tensors = tensors(&spec, options, &projection, protos)?;
    let images = number_of_images(options, &data);
    Ok(Fitted { spec, tensors, classes, images, warnings })
}

/// The model's description.
fn describe(options: &FitOptions, data: &Dataset) -> Result<ModelSpec> {
    let weights = model_file::read(&options.backbone)?;
    let taps = options.arch.strides(|name| weights.contains(name));
    // What its backbone was trained with, where the weights are a model's.
    let of_model = read_spec(&weights).ok().filter(|model| model.net.arch == options.arch);
    let output_stride = if options.arch == Arch::Scratch { 16 } else { 32 };
    let classes = data.classes().clone();
    let embedding = options.embedding.unwrap_or_else(|| classes.len().clamp(EMBEDDING[0], EMBEDDING[1]));
    let net = NetOptions {
        arch: options.arch,
        hrnet_upsampling: of_model.as_ref().map_or(options.hrnet_upsampling, |m| m.net.hrnet_upsampling),
        output_stride,
        taps,
        neck: Neck::Linear,
        width: embedding,
        embedding,
        prototypes: options.prototypes,
        ..NetOptions::default()
    };
    // Unit vectors of what the neck gives, and cosines over a temperature: nothing else has weights.
    let head = HeadOptions {
        projection: false,
        proj_norm: ProjNorm::None,
        embed_layernorm: false,
        class_logit: LogitKind::Scaled,
        ..HeadOptions::profile(Profile::Rec)
    };
    let crop = match options.size {
        Some(size) if size.iter().any(|side| !(1..=MAX_CROP).contains(side)) => {
            let [height, width] = size;
            return Err(Error::config(
                format!("--size is {height}x{width}"),
                format!("give sides from 1 to {MAX_CROP}"),
            ));
        }
        Some(size) => size,
        None => {
            let first = data.load(0)?.image;
            [first.height, first.width].map(|side| side.min(MAX_SIDE))
        }
    };
    let provenance = Provenance {
        protoseg: env!("CARGO_PKG_VERSION").into(),
        seed: options.seed,
        data: options.data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        crop,
        ..Provenance::default()
    };
    let normalisation = of_model.map_or_else(|| usual_normalisation(options.arch), |m| m.normalisation);
    Ok(ModelSpec { net, head, classes, normalisation, provenance })
}

fn number_of_images(options: &FitOptions, data: &Dataset) -> usize {
    if options.images == 0 { data.len() } else { options.images.min(data.len()) }
}

/// A sample of each class's features, and how many numbers they are, of every image once.
async fn stream(
    gpu: &Arc<Gpu>,
    spec: &ModelSpec,
    options: &FitOptions,
    data: &Arc<Dataset>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(ClassSamples, usize)> {
    let [height, width] = spec.provenance.crop;
    let recorded = FeatureStep::record(&spec.net, spec.num_classes(), [1, height, width])?;
    let mut store = Store::new();
    load_backbone(gpu, &mut store, &recorded.weights, spec.net.arch, &options.backbone)?;
    let caps = tuned_caps(gpu, &recorded.tape, Keep::Only(&recorded.kept())).await?;
    let program = recorded.program(&caps);
    if program.largest_bytes() > caps.max_binding_bytes.min(caps.max_buffer_bytes) {
        return Err(Error::config(
            format!("the features of an image of {height}x{width} do not fit the adapter"),
            "give a smaller --size",
        ));
    }
    let plan = Plan::new(gpu, &recorded.tape, &program, &mut store)?;
    let settings = LoaderSettings {
        augment: AugmentSettings::none(height, width),
        normalisation: spec.normalisation,
        batch: 1,
        seed: options.seed,
        first_step: 0,
        num_threads: NUM_THREADS,
    };
    // One pass in the loader's order, in which any beginning is a random choice of images.
    let mut loader = Loader::new(Arc::clone(data), settings)?;
    let features = recorded.channels();
    let most =
        (SAMPLE_BYTES / (spec.num_classes() * features * size_of::<f32>())).clamp(SAMPLES[0], SAMPLES[1]);
    let mut samples = ClassSamples::of_at_most(most, spec.num_classes(), features, options.seed);
    let images = number_of_images(options, data);
    for done in 0..images {
        let batch = loader.next_batch()?;
        plan.write_padded(recorded.image, &batch.images);
        plan.write(recorded.labels, &batch.labels);
        plan.run_in_turns().await?;
        samples.add(&plan.read(recorded.features).await?, &plan.read(recorded.gt).await?);
        progress(done + 1, images);
    }
    Ok((samples, features))
}

/// What there is to say about a class without enough pixels.
fn lacking(class: &FittedClass, num_protos: usize) -> Option<String> {
    let FittedClass { name, pixels, prototypes } = class;
    if *pixels == 0 {
        return Some(format!(
            "class `{name}` has no labelled pixel in what was looked at: it will not be predicted"
        ));
    }
    let left = num_protos - prototypes;
    (left > 0).then(|| {
        format!("class `{name}` has {pixels} pixels of {prototypes} kinds: {left} of its {num_protos} prototypes stay empty")
    })
}

/// All tensors of the model under their names: the backbone's as they are, the projection, the prototypes.
fn tensors(
    spec: &ModelSpec,
    options: &FitOptions,
    projection: &Projection,
    protos: Vec<f32>,
) -> Result<Tensors> {
    let narrow = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let mut own = BTreeMap::from([
        (format!("{LINEAR}.weight"), narrow(&projection.weight)),
        (format!("{LINEAR}.bias"), narrow(&projection.bias)),
        (PROTOTYPES.to_owned(), protos),
    ]);
    let file = model_file::read(&options.backbone)?;
    let mut out = Tensors::new();
    for entry in catalogue(spec)?.0 {
        let shape = entry.disk_shape();
        let tensor = match own.remove(&entry.name) {
            Some(data) => Tensor { shape, data },
            None => file.get(&entry.name, &shape)?,
        };
        out.insert(entry.name, tensor);
    }
    Ok(out)
}

/// The catalogue of all weights, of which none depends on the image's size.
fn catalogue(spec: &ModelSpec) -> Result<Weights> {
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, 64, 64, 3], DType::F32);
    let step = tape.input("step", &[1], DType::U32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    record_network(&mut b, spec, image, step, 0, false)?;
    Ok(b.weights)
}
