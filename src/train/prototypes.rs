//! What a run does about its prototypes: it says how they are, and sets them from pixels: where they start (`head.prototype_init = "kmeans"`), and the unused ones later on
//! (`head.revive_every`), twins among them (`head.merge_cosine`).

use crate::error::Result;
use crate::model::{EmbedStep, PROTOTYPES};
use crate::proto::{Circumstances, ClassHealth, ClassSamples, Moved, PrototypeInit, health};
use crate::rng;
use crate::tape::{DType, Keep, Plan, Role, Value, tuned_caps};

use super::event::{ClassPrototypes, Event, Listener, SetPrototypes};
use super::session::Session;

/// Batches that are looked at, never more than one pass over the data: enough for several images of a common class.
const NUM_BATCHES: usize = 16;
/// More are looked at, up to this many, while a class has fewer pixels than prototypes.
const MAX_BATCHES: usize = 64;

/// Keeps the draws of a revival apart from those of the start.
const REVIVAL: u32 = 0x7265_7669;

impl Session {
    /// Sets the prototypes that are to be set from pixels just before step number `step`, counted from 0, and says which. The
    /// batches looked at are those of that step and the next ones, which a loader of its own makes: training meets the same
    /// data with and without this. All depends on seed, step, weights and prototypes alone, so a run that is resumed at `step`
    /// does as the uninterrupted one did.
    ///
    /// # Errors
    /// Those of data and device.
    pub(super) async fn set_prototypes(&mut self, step: u64) -> Result<Option<Event>> {
        let (start, seed) = (self.spec.head.sets_prototypes_before(step), self.config.train.seed);
        if !start && !self.spec.head.revives_before(step) {
            return Ok(None);
        }
        let seed = if start { seed } else { rng::bits(seed, REVIVAL, step as u32) };
        let (shape, mut protos) = self.store.read(&self.gpu, PROTOTYPES).await?;
        let [num_classes, of, d] = shape[..] else { unreachable!("prototypes are [C,K,D]") };
        let mut samples = ClassSamples::new(num_classes, d, seed);
        let batches = self.sample_classes(&mut samples, of, step).await?;
        let set = if start {
            samples.fill(&mut protos, of).into_iter().map(|all| Moved { all, twins: 0 }).collect()
        } else {
            samples.revive(&mut protos, of, self.spec.head.merge_cosine)
        };
        let value = Value { name: PROTOTYPES.into(), shape, dtype: DType::F32, role: Role::State };
        self.store.set(&self.gpu, &value, &protos)?;
        let found = self.spec.classes.classes.iter().zip(samples.seen().zip(set));
        let classes = found
            .map(|(class, (pixels, Moved { all: set, twins: merged }))| SetPrototypes {
                name: class.name.clone(),
                pixels,
                set,
                merged,
            })
            .filter(|class| start || class.set > 0)
            .collect();
        let step = step + 1;
        Ok(Some(if start {
            Event::PrototypesSet { step, batches, of, classes }
        } else {
            Event::PrototypesRevived { step, batches, classes }
        }))
    }

    /// Offers the pixels of batches from that of `step` on to `samples`, until there are enough for `num_protos` prototypes per
    /// class; returns how many batches that took.
    async fn sample_classes(
        &mut self,
        samples: &mut ClassSamples,
        num_protos: usize,
        step: u64,
    ) -> Result<usize> {
        let recorded = EmbedStep::record(&self.spec, &self.step_options())?;
        let caps = tuned_caps(&self.gpu, &recorded.tape, Keep::Only(&recorded.kept())).await?;
        let plan = Plan::new(&self.gpu, &recorded.tape, &recorded.program(&caps), &mut self.store)?;
        let mut loader = self.loader(step)?;
        let pass = self.train.len().div_ceil(self.config.train.batch);
        for batches in 0..pass.min(MAX_BATCHES) {
            let lacking = samples.seen().any(|pixels| (pixels as usize) < num_protos);
            if batches >= NUM_BATCHES && !lacking {
                return Ok(batches);
            }
            let batch = loader.next_batch()?;
            plan.write_padded(recorded.image, &batch.images);
            plan.write(recorded.labels, &batch.labels);
            plan.run_in_turns().await?;
            samples.add(&plan.read(recorded.emb).await?, &plan.read(recorded.gt).await?);
        }
        Ok(pass.min(MAX_BATCHES))
    }

    /// Tells how far apart the prototypes are and how they share what was counted in `usage [C,K]`, and warns once of those that
    /// have collapsed.
    pub(super) async fn tell_prototypes(
        &mut self,
        step: u64,
        usage: &[u64],
        listener: &mut Listener<'_>,
    ) -> Result<()> {
        let (shape, protos) = self.store.read(&self.gpu, PROTOTYPES).await?;
        let found = health(&protos, usage, [shape[0], shape[1], shape[2]]);
        let classes = &self.spec.classes.classes;
        let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        let head = &self.spec.head;
        let circumstances = Circumstances {
            momentum: head.momentum,
            update_assign: head.update_assign,
            balance: head.sinkhorn_balance,
            from_pixels: head.prototype_init == PrototypeInit::Kmeans,
            revives: head.revive_every > 0,
            learnable: !head.use_prototype,
        };
        // Before the first step that uses them, they say nothing about the training.
        let used = if head.use_prototype { step > head.warmup_steps } else { step > 0 };
        if used {
            for text in self.collapse.warnings(&names, &found, circumstances) {
                listener.tell(&Event::Warning { text });
            }
        }
        let mean_cosine = found.iter().map(|h| h.mean_cosine).sum::<f64>() / found.len() as f64;
        let of_class = |(h, name): (ClassHealth, &str)| ClassPrototypes {
            name: name.into(),
            mean: h.mean_cosine,
            max: h.max_cosine,
            effective: (h.effective > 0.0).then_some(h.effective),
            usage: h.usage,
        };
        let classes = found.into_iter().zip(names).map(of_class).collect();
        listener.tell(&Event::Prototypes { step, mean_cosine, classes });
        Ok(())
    }
}
