//! The `[data]` section: where images and labels are, what the labels mean, and what each class counts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{DataOptions, Dataset, Given, Layout, MaskKind};
use crate::error::{Error, Result};

/// Where the data set is. Relative paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set's folder.
    pub root: PathBuf,
    /// Its layout: `"folder"`, `"voc"`, `"cityscapes"`, `"ade20k"`, `"coco_stuff"`, or `"auto"` for the one that it has.
    #[serde(default, with = "layout")]
    pub layout: Option<Layout>,
    /// Which masks are read, where there are several kinds: `"labelIds"` or `"labelTrainIds"` (Cityscapes, COCO-Stuff);
    /// `"colors"` takes the colours of palette masks in place of their indices; `"auto"` takes what there is.
    #[serde(default)]
    pub masks: MaskKind,
    /// Names of the classes in place of the data set's own list; `label_map` then says which raw labels the new ones are.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Split to train on; `train` and `val` stand for `training` or `train2017` and `validation` or `val2017` too.
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
    /// Meanings of raw labels in place of the data set's own: a value, a range `"0-6"` or a colour `"#402020"` = the name of a
    /// class, or `"ignore"`. Several may be one class.
    #[serde(default)]
    pub label_map: BTreeMap<String, String>,
}

/// `"auto"` or the name of a layout.
mod layout {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::data::Layout;

    const AUTO: &str = "auto";

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub fn serialize<S: Serializer>(layout: &Option<Layout>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(layout.map_or(AUTO, Layout::name))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Layout>, D::Error> {
        let name = String::deserialize(deserializer)?;
        let names = || Layout::ALL.map(Layout::name).join(", ");
        match Layout::named(&name) {
            None if name != AUTO => Err(D::Error::custom(format!(
                "`{name}` is no layout of data sets: choose {AUTO}, {}",
                names()
            ))),
            layout => Ok(layout),
        }
    }
}

fn train_split() -> String {
    "train".into()
}

fn val_split() -> String {
    "val".into()
}

impl DataConfig {
    /// What is said of the data set beyond its folder.
    #[must_use]
    pub fn options(&self) -> DataOptions {
        DataOptions {
            layout: self.layout,
            masks: self.masks,
            given: Given { classes: self.classes.clone(), label_map: self.label_map.clone() },
        }
    }

    /// Opens a split of the data set.
    ///
    /// # Errors
    /// As [`Dataset::open_with`].
    pub fn open(&self, split: &str) -> Result<Dataset> {
        Dataset::open_with(&self.root, split, &self.options())
    }

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
