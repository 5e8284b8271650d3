//! A training step on the device: its plans, and what is uploaded before each run.

use std::sync::Arc;

use crate::data::{Batch, Loader};
use crate::error::Result;
use crate::gpu::{Caps, Gpu};
use crate::model::TrainStep;
use crate::tape::{NotFinite, Plan, Program, Store};

/// A recorded training step with its plans.
pub(super) struct Prepared {
    pub step: TrainStep,
    gpu: Arc<Gpu>,
    pub plan: Plan,
    /// That of what follows the last micro-batch, where a step has several.
    update: Option<Plan>,
}

impl Prepared {
    /// Binds `program`, which is `step` lowered for `caps`, to the device.
    pub fn new(
        gpu: &Arc<Gpu>,
        step: TrainStep,
        program: &Program,
        caps: &Caps,
        store: &mut Store,
    ) -> Result<Self> {
        let plan = Plan::new(gpu, &step.tape, program, store)?;
        let update = match &step.update {
            Some(update) => Some(Plan::new(gpu, &update.tape, &update.program(caps), store)?),
            None => None,
        };
        Ok(Self { step, gpu: Arc::clone(gpu), plan, update })
    }

    /// Does step number `step` with the batches that `next` gives. `torn` is true between its first micro-batch and its last,
    /// where the store holds no state that a run could go on from.
    pub async fn run(
        &self,
        next: &mut dyn FnMut() -> Result<Batch>,
        lr: f32,
        step: u64,
        torn: &mut bool,
    ) -> Result<()> {
        for micro in 0..self.step.micro_batches {
            // One batch in flight: the loader's threads made the next one while the device worked.
            self.gpu.done().await?;
            let batch = next()?;
            self.write(&batch, lr, step, micro);
            *torn = micro + 1 < self.step.micro_batches;
            self.plan.run_in_turns().await?;
        }
        if let Some(update) = self.write_update(lr, step) {
            update.run_in_turns().await?;
        }
        Ok(())
    }

    /// Does the step node by node and stops at the first whose output is not finite.
    pub async fn first_not_finite(
        &self,
        loader: &mut Loader,
        lr: f32,
        step: u64,
    ) -> Result<Option<NotFinite>> {
        for micro in 0..self.step.micro_batches {
            self.write(&loader.next_batch()?, lr, step, micro);
            let found = self.plan.first_not_finite().await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        match self.write_update(lr, step) {
            Some(update) => update.first_not_finite().await,
            None => Ok(None),
        }
    }

    /// Uploads everything that micro-batch number `micro` of step number `step` reads. Dropout and noise count micro-batches.
    fn write(&self, batch: &Batch, lr: f32, step: u64, micro: usize) {
        let Self { step: recorded, plan, .. } = self;
        plan.write_padded(recorded.image, &batch.images);
        plan.write(recorded.labels, &batch.labels);
        plan.write(recorded.lr, &[lr]);
        plan.write(recorded.step, &[step as u32 * recorded.micro_batches as u32 + micro as u32]);
        if let Some(first) = recorded.first {
            plan.write(first, &[u32::from(micro == 0)]);
        }
    }

    /// Uploads what the update reads, if there is one.
    fn write_update(&self, lr: f32, step: u64) -> Option<&Plan> {
        let (recorded, plan) = (self.step.update.as_ref()?, self.update.as_ref()?);
        plan.write(recorded.lr, &[lr]);
        plan.write(recorded.step, &[step as u32]);
        Some(plan)
    }

    /// Loss of the auxiliary head in the last step, where there is one.
    pub async fn aux(&self) -> Result<Option<f32>> {
        let Some(id) = self.step.aux else { return Ok(None) };
        Ok(Some(self.plan.read::<f32>(id).await?[0]))
    }

    /// Norm of the gradients of the last step, where it is bounded.
    pub async fn grad_norm(&self) -> Result<Option<f32>> {
        let norm = match (&self.step.update, &self.update) {
            (Some(recorded), Some(plan)) => recorded.grad_norm.map(|id| (plan, id)),
            _ => self.step.grad_norm.map(|id| (&self.plan, id)),
        };
        let Some((plan, id)) = norm else { return Ok(None) };
        Ok(Some(plan.read::<f32>(id).await?[0]))
    }
}
