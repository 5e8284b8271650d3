//! The `[data]` section: where images and labels are, and what each class counts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where the data set is. Relative paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set's folder (`images/SPLIT`, `masks/SPLIT`, `classes.json`).
    pub root: PathBuf,
    /// Split to train on.
    #[serde(default = "train_split")]
    pub train: String,
    /// Split to evaluate on.
    #[serde(default = "val_split")]
    pub val: String,
    /// Evaluate on at most this many images while training; 0 for all. The last evaluation always takes all.
    #[serde(default)]
    pub val_images: usize,
    /// Weights of the classes in the cross-entropy; empty for 1 each.
    #[serde(default)]
    pub class_weights: Vec<f32>,
    /// Weights from the training split in place of given ones: `(median share / share of the class)^balance`. 0 for none, 0.5
    /// for the square root, 1 for median frequency balancing. A class that the split does not hold gets 1.
    #[serde(default)]
    pub balance: f32,
}

fn train_split() -> String {
    "train".into()
}

fn val_split() -> String {
    "val".into()
}

impl DataConfig {
    /// The weight of each class whose shares of the training split's labelled pixels are `shares`.
    pub(in crate::train) fn weights(&self, shares: &[f64]) -> Result<Vec<f32>> {
        self.check_weights(shares.len())?;
        let mut held: Vec<f64> = shares.iter().copied().filter(|&share| share > 0.0).collect();
        held.sort_by(f64::total_cmp);
        let Some(&median) = held.get(held.len() / 2).filter(|_| self.balance > 0.0) else {
            let given = &self.class_weights;
            return Ok(if given.is_empty() { vec![1.0; shares.len()] } else { given.clone() });
        };
        let weight = |&share: &f64| {
            if share > 0.0 { (median / share).powf(f64::from(self.balance)) as f32 } else { 1.0 }
        };
        Ok(shares.iter().map(weight).collect())
    }

    /// Checks the class weights against the number of classes.
    fn check_weights(&self, num_classes: usize) -> Result<()> {
        let weights = &self.class_weights;
        if !(self.balance.is_finite() && self.balance >= 0.0) {
            return Err(Error::config(
                format!("data.balance is {}", self.balance),
                "it must be 0 or more; 0.5 is a good choice",
            ));
        }
        if self.balance > 0.0 && !weights.is_empty() {
            return Err(Error::config(
                "data.balance and data.class_weights are both given",
                "leave one of them out: balance takes the weights from the training split",
            ));
        }
        if !weights.is_empty() && weights.len() != num_classes {
            return Err(Error::config(
                format!("data.class_weights has {} numbers for {num_classes} classes", weights.len()),
                "give one per class, in the order of classes.json, or none",
            ));
        }
        let usable = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
        if !usable || !weights.is_empty() && weights.iter().all(|w| *w == 0.0) {
            return Err(Error::config(
                format!("data.class_weights is {weights:?}"),
                "give finite numbers of 0 or more, not all 0",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_classes_weigh_more_as_far_as_asked() {
        let data = |text: &str| toml::from_str::<DataConfig>(&format!("root = \"x\"\n{text}")).expect("keys");
        let shares = [0.64, 0.16, 0.0, 0.04];
        assert_eq!(data("").weights(&shares).expect("valid"), [1.0; 4]);
        assert_eq!(data("balance = 1.0").weights(&shares).expect("valid"), [0.25, 1.0, 1.0, 4.0]);
        assert_eq!(data("balance = 0.5").weights(&shares).expect("valid"), [0.5, 1.0, 1.0, 2.0]);
        let given = "class_weights = [1.0, 2.0, 3.0, 4.0]";
        assert_eq!(data(given).weights(&shares).expect("valid"), [1.0, 2.0, 3.0, 4.0]);
        for wrong in ["balance = -1.0", "balance = 0.5\nclass_weights = [1.0, 2.0, 3.0, 4.0]"] {
            let error = data(wrong).weights(&shares).expect_err("refused").to_string();
            assert!(error.contains("data.balance"), "{error}");
        }
    }
}
