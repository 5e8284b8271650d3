//! One image through the network: plans per image size, kept while they are in use.

use std::path::Path;
use std::sync::Arc;

use crate::data::RgbImage;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::head;
use crate::model::{ModelSpec, load_model, record_network};
use crate::model_file::{self, ModelFile, Tensors};
use crate::nn::{Builder, Mode, Weights};
use crate::ops::{self, Corners};
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId, tuned_caps};

use super::window;

/// Plans kept at a time: validation images come in few sizes.
const MAX_PLANS: usize = 4;

/// What is known about every pixel of an image; all maps are row-major, `height * width`. Those of prototypes are empty for a
/// model without.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Predicted class.
    pub classes: Vec<u32>,
    /// Nearest of that class's K prototypes.
    pub prototypes: Vec<u32>,
    /// Cosine to that prototype.
    pub similarity: Vec<f32>,
    /// Share of that prototype in the softmax over the K cosines / 0.1 (spec section 12).
    pub strength: Vec<f32>,
    /// Logit of the predicted class minus that of the runner-up; infinite for one class.
    pub margin: Vec<f32>,
}

/// How much is computed and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The class map.
    Classes,
    /// The class map, and class and nearest prototype at feature resolution.
    Usage,
    /// All of [`Prediction`].
    Everything,
    /// Class logits at feature resolution, for ensembles.
    Logits,
    /// Class map, nearest prototypes, logits and embeddings, for other programs.
    Tensors,
}

/// Class logits of a part of an image, `[h, w, C]`.
pub(super) struct Logits {
    pub values: Vec<f32>,
    /// Height and width.
    pub size: [usize; 2],
}

/// What is known of the prototypes, for a model that has some.
#[derive(Clone, Copy)]
pub(crate) struct Nearest {
    /// Nearest of the predicted class's prototypes, and the cosines to all of them.
    pub nearest: ValueId,
    pub sims: ValueId,
    /// Class and nearest prototype at feature resolution.
    coarse: (ValueId, ValueId),
}

pub(crate) struct Recorded {
    pub tape: Tape,
    pub image: ValueId,
    pub pred: ValueId,
    pub best: ValueId,
    pub second: ValueId,
    /// Embedding `[h*w,D]`, and prototypes `[C,K,D]` or what a rival has in their place.
    pub emb: ValueId,
    pub protos: ValueId,
    pub prototypes: Option<Nearest>,
    pub logits: Vec<ValueId>,
    /// Height and width of the logits.
    pub size: [usize; 2],
    pub weights: Weights,
}

/// A plan for one image size.
pub(super) struct Sized {
    key: (usize, usize, Want),
    pub recorded: Recorded,
    pub plan: Plan,
}

/// Runs images through the network of one spec.
pub struct Predictor {
    pub(super) gpu: Arc<Gpu>,
    pub(super) spec: ModelSpec,
    plans: Vec<Sized>,
    /// Largest buffer that a plan may have.
    pub(super) max_bytes: u64,
}

/// A model file on a device.
pub struct Model {
    /// Runs images.
    pub predictor: Predictor,
    /// Its weights.
    pub store: Store,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is no model or lacks a tensor.
    pub fn open(gpu: &Arc<Gpu>, path: &Path) -> Result<Self> {
        Self::load(gpu, &model_file::read(path)?)
    }

    /// Takes a model out of a file that was read.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn load(gpu: &Arc<Gpu>, file: &ModelFile) -> Result<Self> {
        let mut store = Store::new();
        let spec = load_model(gpu, &mut store, file, |spec| Ok(record(spec, 32, 32)?.weights))?;
        Ok(Self { predictor: Predictor::new(gpu, &spec), store })
    }

    /// Class names, options and provenance.
    #[must_use]
    pub const fn spec(&self) -> &ModelSpec {
        &self.predictor.spec
    }

    /// Refuses a model without prototypes, of which `what` could not be made.
    ///
    /// # Errors
    /// [`Error::Config`] that says so.
    pub fn needs_prototypes(&self, what: &str) -> Result<()> {
        let kind = self.spec().head.kind;
        if kind.has_prototypes() {
            return Ok(());
        }
        Err(Error::config(
            format!("{what} shows prototypes, and this model has none: its head.kind is \"{}\"", kind.name()),
            "give a model that was trained with head.kind = \"prototype\"",
        ))
    }

    /// Everything about one image.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn predict(&mut self, image: &RgbImage) -> Result<Prediction> {
        self.predictor.predict(&mut self.store, image).await
    }

    /// Classes, prototypes, logits and embeddings of one image as tensors; see [`Predictor::tensors`].
    ///
    /// # Errors
    /// As [`Predictor::tensors`].
    pub async fn tensors(&mut self, image: &RgbImage) -> Result<Tensors> {
        self.predictor.tensors(&mut self.store, image).await
    }

    /// The class map of one image `[H * W]`, for less work than [`Model::predict`].
    ///
    /// # Errors
    /// Those of the device.
    pub async fn classes(&mut self, image: &RgbImage) -> Result<Vec<u32>> {
        self.predictor.classes(&mut self.store, image).await
    }
}

/// The tape that predicts everything about one image of `height` x `width`, and the values it keeps.
///
/// # Errors
/// Those of the shape rules.
pub fn record_inference(spec: &ModelSpec, height: usize, width: usize) -> Result<(Tape, Vec<ValueId>)> {
    let recorded = record(spec, height, width)?;
    let kept = recorded.kept(Want::Everything);
    Ok((recorded.tape, kept))
}

/// Records inference for an image of `height` x `width`.
pub(crate) fn record(spec: &ModelSpec, height: usize, width: usize) -> Result<Recorded> {
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, height, width, 3], DType::F32);
    let step = tape.input("step", &[1], DType::U32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let enlarged = ops::resize(b.tape, image, spec.net.input_size([height, width]), Corners::Half)?;
    let net = record_network(&mut b, spec, enlarged, step, 0, false)?;
    let weights = b.weights;
    tape.enter("classify");
    let emb = net.embedded.emb;
    let classifier = net.classifier(&tape, &spec.head)?;
    let [_, h, w] = net.size;
    let found = classifier.record_prediction(&mut tape, [h, w], [height, width])?;
    let scores = classifier.record_scores(&mut tape)?;
    let mut prototypes = None;
    if spec.head.kind.has_prototypes() {
        let d = tape.value(emb).channels();
        let map = tape.reshape(emb, &[1, h, w, d])?;
        let (nearest, sims) = ops::nearest_prototype(&mut tape, found.pred, map, net.protos)?;
        let coarse = tape.reshape(scores.pred, &[1, h, w])?;
        let coarse = (coarse, ops::nearest_prototype(&mut tape, coarse, map, net.protos)?.0);
        prototypes = Some(Nearest { nearest, sims, coarse });
    }
    tape.leave();
    let logits = scores.tiles.iter().map(|t| t.logits).collect();
    let head::Prediction { pred, best, second } = found;
    let protos = net.protos;
    Ok(Recorded { tape, image, pred, best, second, emb, protos, prototypes, logits, size: [h, w], weights })
}

impl Predictor {
    /// A predictor without plans yet.
    #[must_use]
    pub fn new(gpu: &Arc<Gpu>, spec: &ModelSpec) -> Self {
        let max_bytes = gpu.caps().max_binding_bytes.min(gpu.caps().max_buffer_bytes);
        Self { gpu: Arc::clone(gpu), spec: spec.clone(), plans: Vec::new(), max_bytes }
    }

    /// The device it runs on.
    #[must_use]
    pub const fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The model's description.
    #[must_use]
    pub const fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Everything about one image; an image that does not fit the device goes through in overlapping windows.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn predict(&mut self, store: &mut Store, image: &RgbImage) -> Result<Prediction> {
        self.run(store, image, Want::Everything, None).await
    }

    /// The class map of one image `[H * W]`.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn classes(&mut self, store: &mut Store, image: &RgbImage) -> Result<Vec<u32>> {
        Ok(self.run(store, image, Want::Classes, None).await?.classes)
    }

    /// The class map of one image `[H * W]`; adds to `usage [C * K]`, unless the model has no prototypes, how many places of the feature map have which class and
    /// nearest prototype. That is a fraction of the work that the nearest prototype of every pixel takes. Where windows
    /// overlap, each counts.
    pub(super) async fn classes_and_usage(
        &mut self,
        store: &mut Store,
        image: &RgbImage,
        usage: &mut [u64],
    ) -> Result<Vec<u32>> {
        Ok(self.run(store, image, Want::Usage, Some(usage)).await?.classes)
    }

    async fn run(
        &mut self,
        store: &mut Store,
        image: &RgbImage,
        want: Want,
        mut usage: Option<&mut [u64]>,
    ) -> Result<Prediction> {
        let (height, width) = (image.height, image.width);
        let [tall, wide] = self.window(height, width, want)?;
        if [tall, wide] == [height, width] {
            return self.whole(store, image, want, usage).await;
        }
        let mut out = Prediction { width, height, ..Prediction::default() };
        for place in window::places(height, width, tall, wide) {
            let part = self.whole(store, &place.cut(image), want, usage.as_deref_mut()).await?;
            place.paste(&part, &mut out);
        }
        Ok(out)
    }

    /// The largest window of `height` x `width` that can be recorded and whose plan fits the device.
    pub(super) fn window(&self, height: usize, width: usize, want: Want) -> Result<[usize; 2]> {
        let most = (ops::MAX_EXTENT as f64 / f64::from(self.spec.net.input_scale)) as usize;
        let (mut tall, mut wide) = (height.min(most), width.min(most));
        while !self.fits(tall, wide, want)? {
            if tall.max(wide) <= 64 {
                return Err(Error::device(
                    format!("not even a window of {wide}x{tall} pixels fits the adapter"),
                    "choose another --adapter",
                ));
            }
            let longer = if tall >= wide { &mut tall } else { &mut wide };
            *longer = longer.div_ceil(2).next_multiple_of(32);
        }
        Ok([tall, wide])
    }

    pub(super) fn fits(&self, height: usize, width: usize, want: Want) -> Result<bool> {
        if self.plans.iter().any(|p| p.key == (height, width, want)) {
            return Ok(true);
        }
        let recorded = record(&self.spec, height, width)?;
        let program = Program::new(&recorded.tape, self.gpu.caps(), Keep::Only(&recorded.kept(want)));
        Ok(program.largest_bytes() <= self.max_bytes)
    }

    /// The plan for an image size, made if it is new.
    pub(super) async fn plan(
        &mut self,
        store: &mut Store,
        height: usize,
        width: usize,
        want: Want,
    ) -> Result<&Sized> {
        let key = (height, width, want);
        let known = self.plans.iter().position(|p| p.key == key);
        let entry = match known {
            Some(index) => self.plans.remove(index),
            None => {
                self.plans.truncate(MAX_PLANS - 1);
                let recorded = record(&self.spec, height, width)?;
                let kept = recorded.kept(want);
                let caps = tuned_caps(&self.gpu, &recorded.tape, Keep::Only(&kept)).await?;
                let program = Program::new(&recorded.tape, &caps, Keep::Only(&kept));
                let plan = Plan::new(&self.gpu, &recorded.tape, &program, store)?;
                Sized { key, recorded, plan }
            }
        };
        // Most recently used first.
        self.plans.insert(0, entry);
        Ok(&self.plans[0])
    }

    async fn whole(
        &mut self,
        store: &mut Store,
        image: &RgbImage,
        want: Want,
        usage: Option<&mut [u64]>,
    ) -> Result<Prediction> {
        let pixels = self.spec.normalisation.image(image);
        let num_prototypes = self.spec.net.prototypes;
        let single = self.spec.num_classes() == 1;
        let Sized { recorded: r, plan, .. } = self.plan(store, image.height, image.width, want).await?;
        plan.write_padded(r.image, &pixels);
        plan.run_in_turns().await?;
        let mut out = Prediction { width: image.width, height: image.height, ..Prediction::default() };
        out.classes = plan.read(r.pred).await?;
        if let (Some(usage), Some(r)) = (usage, r.prototypes) {
            let (classes, nearest): (Vec<u32>, Vec<u32>) =
                (plan.read(r.coarse.0).await?, plan.read(r.coarse.1).await?);
            for (class, k) in std::iter::zip(classes, nearest) {
                usage[class as usize * num_prototypes + k as usize] += 1;
            }
        }
        if want == Want::Everything {
            let (best, second): (Vec<f32>, Vec<f32>) = (plan.read(r.best).await?, plan.read(r.second).await?);
            let margin = |(best, second)| if single { f32::INFINITY } else { best - second };
            out.margin = std::iter::zip(best, second).map(margin).collect();
        }
        if let (Want::Everything, Some(r)) = (want, r.prototypes) {
            out.prototypes = plan.read(r.nearest).await?;
            let sims: Vec<f32> = plan.read(r.sims).await?;
            for (row, &k) in sims.chunks_exact(num_prototypes).zip(&out.prototypes) {
                let own = row[k as usize];
                out.similarity.push(own);
                out.strength.push(1.0 / row.iter().map(|s| ((s - own) / 0.1).exp()).sum::<f32>());
            }
        }
        Ok(out)
    }

    /// Class logits `[h, w, C]` of one image, which must fit the device (see [`Predictor::window`]), at the resolution of
    /// the features.
    pub(super) async fn logits(&mut self, store: &mut Store, image: &RgbImage) -> Result<Logits> {
        self.logits_as(store, image, Want::Logits).await
    }

    /// [`Predictor::logits`] by a plan that keeps what `want` says, logits among it.
    pub(super) async fn logits_as(
        &mut self,
        store: &mut Store,
        image: &RgbImage,
        want: Want,
    ) -> Result<Logits> {
        let pixels = self.spec.normalisation.image(image);
        let num_classes = self.spec.num_classes();
        let Sized { recorded: r, plan, .. } = self.plan(store, image.height, image.width, want).await?;
        plan.write_padded(r.image, &pixels);
        plan.run_in_turns().await?;
        let mut out = vec![0.0; r.size[0] * r.size[1] * num_classes];
        let mut first = 0;
        for &tile in &r.logits {
            let width = r.tape.value(tile).channels();
            let data: Vec<f32> = plan.read(tile).await?;
            for (to, row) in out.chunks_exact_mut(num_classes).zip(data.chunks_exact(width)) {
                to[first..first + width].copy_from_slice(row);
            }
            first += width;
        }
        Ok(Logits { values: out, size: r.size })
    }
}

impl Recorded {
    fn kept(&self, want: Want) -> Vec<ValueId> {
        match want {
            Want::Classes => vec![self.pred],
            Want::Usage => {
                let coarse = self.prototypes.map(|p| [p.coarse.0, p.coarse.1]);
                [self.pred].into_iter().chain(coarse.into_iter().flatten()).collect()
            }
            Want::Everything => {
                let nearest = self.prototypes.map(|p| [p.nearest, p.sims]);
                [self.pred, self.best, self.second].into_iter().chain(nearest.into_iter().flatten()).collect()
            }
            Want::Logits => self.logits.clone(),
            Want::Tensors => {
                let nearest = self.prototypes.map(|p| p.nearest);
                [self.pred, self.emb].into_iter().chain(nearest).chain(self.logits.iter().copied()).collect()
            }
        }
    }
}
