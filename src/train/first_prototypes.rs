//! Prototypes that start from pixels instead of random directions (`head.prototype_init = "kmeans"`).

use crate::error::Result;
use crate::model::{EmbedStep, PROTOTYPES};
use crate::proto::ClassSamples;
use crate::tape::{DType, Keep, Plan, Role, Value, tuned_caps};

use super::event::{Event, PrototypeStart};
use super::session::Session;

/// Batches that are looked at, never more than one pass over the data: enough for several images of a common class.
const NUM_BATCHES: usize = 16;
/// More are looked at, up to this many, while a class has fewer pixels than prototypes.
const MAX_BATCHES: usize = 64;

impl Session {
    /// Sets the prototypes before step number `step`, counted from 0, by a k-means of the embeddings of each class's pixels.
    /// The batches are those of that step and the next ones, which a loader of its own makes: training meets the same data
    /// with and without this, and a resumed run the same start.
    ///
    /// # Errors
    /// Those of data and device.
    pub(super) async fn set_prototypes(&mut self, step: u64) -> Result<Event> {
        let recorded = EmbedStep::record(&self.spec, &self.step_options())?;
        let caps = tuned_caps(&self.gpu, &recorded.tape, Keep::Only(&recorded.kept())).await?;
        let plan = Plan::new(&self.gpu, &recorded.tape, &recorded.program(&caps), &mut self.store)?;
        let (shape, mut protos) = self.store.read(&self.gpu, PROTOTYPES).await?;
        let mut samples = ClassSamples::new(shape[0], shape[2], self.config.train.seed);
        let mut loader = self.loader(step)?;
        let pass = self.train.len().div_ceil(self.config.train.batch);
        let mut batches = 0;
        while batches < pass.min(MAX_BATCHES) {
            let lacking = samples.seen().any(|pixels| (pixels as usize) < shape[1]);
            if batches >= NUM_BATCHES && !lacking {
                break;
            }
            let batch = loader.next_batch()?;
            plan.write_padded(recorded.image, &batch.images);
            plan.write(recorded.labels, &batch.labels);
            plan.run();
            samples.add(&plan.read(recorded.emb).await?, &plan.read(recorded.gt).await?);
            batches += 1;
        }
        let set = samples.fill(&mut protos, shape[1]);
        let value =
            Value { name: PROTOTYPES.into(), shape: shape.clone(), dtype: DType::F32, role: Role::State };
        self.store.set(&self.gpu, &value, &protos)?;
        let classes = self.spec.classes.classes.iter().zip(samples.seen().zip(set));
        let classes =
            classes.map(|(class, (pixels, set))| PrototypeStart { name: class.name.clone(), pixels, set });
        let (step, of) = (step + 1, shape[1]);
        Ok(Event::PrototypesSet { step, batches, of, classes: classes.collect() })
    }
}
