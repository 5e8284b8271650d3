//! Where a loss or weight stopped being finite: the steps since the last good one, done again, which gives the same bits.

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::proto::EmptyLoss;
use crate::tape::Store;

use super::prepared::Prepared;
use super::session::Session;

/// Weights and state before a step, held on the device.
#[derive(Default)]
pub(super) struct Snapshot {
    /// The next step to do.
    step: u64,
    store: Store,
}

impl Snapshot {
    /// Holds the state before `step`; the first time it allocates its memory.
    pub(super) fn take(&mut self, gpu: &Gpu, store: &Store, step: u64) -> Result<()> {
        self.step = step;
        store.copy_to(gpu, &mut self.store)
    }
}

impl Session {
    /// Whether a loss is finite and, where the weights are about to be saved, they are too.
    pub(super) async fn is_healthy(&self, loss: f32, check_weights: bool) -> Result<bool> {
        // With this option a batch without a valid pixel has a loss of NaN, and harms no weight.
        let may_be_nan = self.config.head.resolve()?.empty_loss == EmptyLoss::Nan;
        if !loss.is_finite() && !may_be_nan {
            return Ok(false);
        }
        if check_weights || !loss.is_finite() { self.store.is_finite(&self.gpu).await } else { Ok(true) }
    }

    /// Does the steps from `snapshot` to `seen`, which was not healthy, again and says at which step and node that began. The weights are of no use afterwards.
    pub(super) async fn trace(
        &mut self,
        prepared: &Prepared,
        snapshot: &Snapshot,
        seen: u64,
    ) -> Result<Error> {
        let (mut bad, mut torn) = (seen, false);
        let mut loader = self.rewind(snapshot)?;
        for step in snapshot.step..=seen {
            prepared.run(&mut || loader.next_batch(), self.config.train.lr_at(step), step, &mut torn).await?;
            let loss = prepared.step.losses.read(&prepared.plan).await?[0];
            if !self.is_healthy(loss, true).await? {
                bad = step;
                break;
            }
        }
        let mut loader = self.rewind(snapshot)?;
        for step in snapshot.step..bad {
            prepared.run(&mut || loader.next_batch(), self.config.train.lr_at(step), step, &mut torn).await?;
        }
        let lr = self.config.train.lr_at(bad);
        let Some(found) = prepared.first_not_finite(&mut loader, lr, bad).await? else {
            return Ok(Error::Numeric {
                step: bad,
                problem: "loss or weights were not finite, and were so when the step was done again".into(),
                remedy: "the adapter does not compute the same twice: check it with `protoseg verify`".into(),
            });
        };
        let total = found.shape.iter().product::<usize>();
        let problem =
            format!("not finite from node `{}` on ({} of its {total} numbers)", found.node, found.count);
        let remedy = match self.checkpoint {
            Some(step) => {
                format!("lower train.lr and go on from the checkpoint of step {step} with --resume")
            }
            None => "lower train.lr and start again".into(),
        };
        Ok(Error::Numeric { step: bad, problem, remedy })
    }

    /// Goes back to the snapshot's state; the loader gives its step's batch first.
    fn rewind(&mut self, snapshot: &Snapshot) -> Result<crate::data::Loader> {
        snapshot.store.copy_to(&self.gpu, &mut self.store)?;
        self.loader(snapshot.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phase;
    use crate::testing;
    use crate::train::Config;

    #[test]
    fn every_node_of_a_good_step_is_finite() {
        let temp = testing::TempDir::new("trace");
        let root = temp.path();
        crate::synth::write_dataset(&root.join("street"), 5, 3, 64, 48).expect("street");
        let text = r#"
            data = { root = "street" }
            model = { arch = "scratch", output_stride = 8, taps = [4, 8], lateral = 8, width = 16, embedding = 8, prototypes = 3 }
            augment = { crop_height = 32, crop_width = 48 }
            train = { batch = 2 }
        "#;
        std::fs::write(root.join("config.toml"), text).expect("temporary folder");
        let config = Config::load(&root.join("config.toml"), &[]).expect("valid configuration");
        let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
        let found = pollster::block_on(async {
            let gpu = Gpu::open(wanted.as_deref(), None).await?;
            let mut session = Session::new(&gpu, config, &root.join("out"), false).await?;
            let (prepared, _) = session.prepare(Phase::Main).await?;
            prepared.first_not_finite(&mut session.loader(0)?, 0.01, 0).await
        });
        assert_eq!(found.expect("a run"), None);
    }
}
