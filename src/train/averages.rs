//! Averages of the weights in a run (`train.ema`): where they begin, and how they become the model.

use crate::error::Result;
use crate::model::{average_name, averaged_weight};
use crate::nn::Weights;
use crate::tape::Value;

use super::session::Session;

impl Session {
    /// Lets the averages among `stored` that no checkpoint gave begin at the weights as they are.
    pub(super) fn start_averages(&mut self, stored: &[Value]) -> Result<()> {
        for value in stored {
            if let Some(weight) = averaged_weight(&value.name) {
                self.store.start_as(&self.gpu, value, weight)?;
            }
        }
        Ok(())
    }

    /// Whether a model is made of averages.
    pub(super) fn averages(&self) -> bool {
        self.config.train.ema > 0.0
    }

    /// Makes `averaged` hold the model of `weights`: averages where there are any, and everything else as it is.
    pub(super) fn take_averages(&mut self, weights: &Weights) -> Result<()> {
        let source = |name: &str| {
            let average = average_name(name);
            if self.store.contains(&average) { average } else { name.to_owned() }
        };
        let names: Vec<_> = weights.0.iter().map(|e| (source(&e.name), e.name.clone())).collect();
        self.store.copy_as(&self.gpu, &mut self.averaged, &names)
    }
}
