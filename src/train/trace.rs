//! Where a loss stopped being finite: the steps since the last good one, done again, which gives the same bits.

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::tape::Store;

use super::session::{Prepared, Session};

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
    /// Does the steps from `snapshot` to `seen`, whose loss was not finite, again and says at which step and node that
    /// began. The weights are of no use afterwards.
    pub(super) async fn trace(
        &mut self,
        prepared: &Prepared,
        snapshot: &Snapshot,
        seen: u64,
    ) -> Result<Error> {
        let mut bad = None;
        let mut loader = self.rewind(snapshot)?;
        for step in snapshot.step..=seen {
            prepared.write(&loader.next_batch()?, self.config.train.lr_at(step), step);
            prepared.plan.run();
            if !prepared.step.losses.read(&prepared.plan).await?[0].is_finite() {
                bad = Some(step);
                break;
            }
        }
        let Some(bad) = bad else {
            return Ok(Error::Numeric {
                step: seen,
                problem: "the loss was not finite, and was so when the steps before it were done again"
                    .into(),
                remedy: "the adapter does not compute the same twice: check it with `protoseg verify`".into(),
            });
        };
        let mut loader = self.rewind(snapshot)?;
        for step in snapshot.step..bad {
            prepared.write(&loader.next_batch()?, self.config.train.lr_at(step), step);
            prepared.plan.run();
        }
        prepared.write(&loader.next_batch()?, self.config.train.lr_at(bad), bad);
        let place = match prepared.plan.first_not_finite().await? {
            Some(found) => {
                let total = found.shape.iter().product::<usize>();
                format!("from node `{}` on ({} of its {total} numbers)", found.node, found.count)
            }
            None => "though every node's output is".into(),
        };
        let remedy = match self.checkpoint {
            Some(step) => {
                format!("lower train.lr and go on from the checkpoint of step {step} with --resume")
            }
            None => "lower train.lr and start again".into(),
        };
        Ok(Error::Numeric { step: bad, problem: format!("the loss is not finite, {place}"), remedy })
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
            let (prepared, _) = session.prepare(Phase::Main)?;
            prepared.write(&session.loader(0)?.next_batch()?, 0.01, 0);
            prepared.plan.first_not_finite().await
        });
        assert_eq!(found.expect("a run"), None);
    }
}
