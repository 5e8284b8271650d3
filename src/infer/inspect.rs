//! One image with everything that is to be looked at, left on the device: for a viewer, which colours it there.

use std::sync::Arc;

use crate::data::RgbImage;
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::model::ModelSpec;
use crate::model_file::ModelFile;
use crate::ops;
use crate::tape::{Keep, Plan, Program, Store, Tape, ValueId, tuned_caps};

use super::predict::{Model, record};

/// Plans kept at a time: opened images come in few sizes, and a plan holds all of a network's maps.
const MAX_PLANS: usize = 2;

/// Maps of an analysed image, on the device, its own whatever is analysed next.
#[derive(Debug)]
pub struct Maps {
    /// Height and width of the image as it was analysed.
    pub size: [usize; 2],
    /// Height and width of the map of embeddings.
    pub features: [usize; 2],
    /// Classes C, prototypes K of each (1 for a rival) and dimension D of an embedding.
    pub shape: [usize; 3],
    /// Whether there are prototypes; otherwise `protos` holds a rival's class vectors.
    pub has_prototypes: bool,
    /// `u32 [1,H,W]`: class, and in the upper 16 bits its nearest prototype.
    pub label: Buffer,
    /// `f32 [1,H,W,4]`: cosine to that prototype, margin to the runner-up, strength, confidence (op `pixel_label`).
    pub score: Buffer,
    /// `f32 [1,h,w,D]`, unit rows in the prototype head.
    pub emb: Buffer,
    /// `f32 [C,K,D]`, unit rows in the prototype head.
    pub protos: Buffer,
}

struct Sized {
    key: [usize; 2],
    image: ValueId,
    features: [usize; 2],
    /// Label, score, embedding and prototypes.
    kept: [ValueId; 4],
    tape: Tape,
    plan: Plan,
}

/// Analyses images with one model.
pub struct Inspector {
    gpu: Arc<Gpu>,
    spec: ModelSpec,
    plans: Vec<Sized>,
}

impl Inspector {
    /// An inspector of models of this description.
    #[must_use]
    pub fn new(gpu: &Arc<Gpu>, spec: &ModelSpec) -> Self {
        Self { gpu: Arc::clone(gpu), spec: spec.clone(), plans: Vec::new() }
    }

    /// An inspector of the model in `file`, and its weights.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn open(gpu: &Arc<Gpu>, file: &ModelFile) -> Result<(Self, Store)> {
        let Model { predictor, store } = Model::load(gpu, file)?;
        Ok((Self::new(gpu, predictor.spec()), store))
    }

    /// The model's description.
    #[must_use]
    pub const fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The size at which an image of `height` x `width` is analysed: its longer side at most `limit`, and what fits the device.
    ///
    /// # Errors
    /// [`Error::Device`] if not even a small one fits.
    pub fn size(&self, [height, width]: [usize; 2], limit: usize) -> Result<[usize; 2]> {
        let longest = height.max(width);
        let most = ((ops::MAX_EXTENT as f64 / f64::from(self.spec.net.input_scale)) as usize).min(limit);
        let mut target = longest.min(most.max(1));
        loop {
            let side = |side: usize| ((side * target) as f64 / longest as f64).round().max(1.0) as usize;
            let size = [side(height), side(width)];
            if self.fits(size)? {
                return Ok(size);
            }
            if target <= 64 {
                let problem = format!("not even {}x{} pixels of the image fit the adapter", size[1], size[0]);
                return Err(Error::device(problem, "choose another --adapter"));
            }
            target = (target * 3 / 4).max(64);
        }
    }

    fn fits(&self, size: [usize; 2]) -> Result<bool> {
        if self.plans.iter().any(|p| p.key == size) {
            return Ok(true);
        }
        let (tape, _, kept, _) = self.record(size)?;
        let caps = self.gpu.caps();
        let largest = Program::new(&tape, caps, Keep::Only(&kept)).largest_bytes();
        Ok(largest <= caps.max_binding_bytes.min(caps.max_buffer_bytes))
    }

    /// Tape, input, kept values (label, score, embedding, prototypes) and size of the map of embeddings.
    fn record(&self, [height, width]: [usize; 2]) -> Result<(Tape, ValueId, [ValueId; 4], [usize; 2])> {
        let mut recorded = record(&self.spec, height, width)?;
        let prototypes = recorded.prototypes.map(|p| [p.nearest, p.sims]);
        let scores = [recorded.best, recorded.second];
        let (label, score) = ops::pixel_label(&mut recorded.tape, recorded.pred, scores, prototypes)?;
        let kept = [label, score, recorded.emb, recorded.protos];
        Ok((recorded.tape, recorded.image, kept, recorded.size))
    }

    async fn plan(&mut self, store: &mut Store, size: [usize; 2]) -> Result<&Sized> {
        let entry = match self.plans.iter().position(|p| p.key == size) {
            Some(index) => self.plans.remove(index),
            None => {
                self.plans.truncate(MAX_PLANS - 1);
                let (tape, image, kept, features) = self.record(size)?;
                let caps = tuned_caps(&self.gpu, &tape, Keep::Only(&kept)).await?;
                let program = Program::new(&tape, &caps, Keep::Only(&kept));
                let plan = Plan::new(&self.gpu, &tape, &program, store)?;
                Sized { key: size, image, features, kept, tape, plan }
            }
        };
        // Most recently used first.
        self.plans.insert(0, entry);
        Ok(&self.plans[0])
    }

    /// Analyses an image that has the size which [`Inspector::size`] gave. The window that the device is shared with has its
    /// turns meanwhile.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn analyse(&mut self, store: &mut Store, image: &RgbImage) -> Result<Maps> {
        let pixels = self.spec.normalisation.image(image);
        let (classes, kind) = (self.spec.num_classes(), self.spec.head.kind);
        let gpu = Arc::clone(&self.gpu);
        let size = [image.height, image.width];
        let Sized { image, features, kept, tape, plan, .. } = self.plan(store, size).await?;
        plan.write_padded(*image, &pixels);
        plan.run_in_turns().await?;
        let mut own = Vec::with_capacity(kept.len());
        for (&id, name) in kept.iter().zip(["labels", "scores", "embeddings", "prototypes"]) {
            let from = plan.buffer(id)?;
            own.push((from, gpu.buffer(name, from.bytes.min(tape.value(id).bytes()))?));
        }
        gpu.copy(own.iter().map(|(from, to)| (*from, to)));
        let protos = &tape.value(kept[3]).shape;
        // A query head's class vectors are `[B,C,D]`, and B is 1.
        let shape =
            if protos[0] == classes { [classes, protos[1], protos[2]] } else { [classes, 1, protos[2]] };
        let mut own = own.into_iter().map(|(_, to)| to);
        let mut next = || own.next().expect("one buffer per kept value");
        Ok(Maps {
            size,
            features: *features,
            shape,
            has_prototypes: kind.has_prototypes(),
            label: next(),
            score: next(),
            emb: next(),
            protos: next(),
        })
    }
}
