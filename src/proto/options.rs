//! Options of clustering, losses and update, and the names of their bundles (spec section 15).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::{Balance, EmptyLoss, SmallClass};

/// Which assignment the prototype update uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateAssign {
    /// That of the clustering.
    #[default]
    Argmax,
    /// The arg-max after Gumbel noise is added to the probabilities (quirk Q2).
    Gumbel,
}

/// Which pixels move prototypes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdatePixels {
    /// Those whose predicted class is right.
    #[default]
    Correct,
    /// Every labelled one.
    All,
}

/// Where the prototypes start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrototypeInit {
    /// Random directions (spec section 7).
    #[default]
    Random,
    /// The centres of a k-means on embeddings of each class's pixels, taken before the first step that uses prototypes.
    Kmeans,
}

/// Options of the clustering and of what is made from it. The default is that of the recommended profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Smoothness of the assignment; at least 0.025.
    pub kappa: f32,
    /// Sinkhorn rounds.
    pub iterations: usize,
    /// How equal the prototypes' parts of a class are made.
    pub balance: Balance,
    /// Share of the old prototype that stays in an update, 0 to 1.
    pub mu: f64,
    /// Temperature of the contrast loss.
    pub tau: f32,
    /// Assignment that the update uses.
    pub update_assign: UpdateAssign,
    /// Pixels that take part in the update.
    pub update_pixels: UpdatePixels,
    /// Assignment of classes with fewer pixels than prototypes.
    pub small_class: SmallClass,
    /// Loss of a batch without a valid pixel.
    pub empty_loss: EmptyLoss,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            kappa: 0.05,
            iterations: 3,
            balance: Balance::Balanced,
            mu: 0.999,
            tau: 0.1,
            update_assign: UpdateAssign::Argmax,
            update_pixels: UpdatePixels::Correct,
            small_class: SmallClass::Sinkhorn,
            empty_loss: EmptyLoss::Zero,
        }
    }
}

impl Cluster {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] that names the configuration's key and its range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, value: String, want: &str| {
            Err(Error::config(format!("head.{key} is {value}"), format!("it must be {want}")))
        };
        // exp((S - 1)/kappa) reaches exp(-2/kappa), which must stay a normal f32.
        if !(self.kappa >= 0.025 && self.kappa.is_finite()) {
            return wrong("kappa", self.kappa.to_string(), "0.025 or more, such as 0.05");
        }
        if self.iterations > 1000 {
            return wrong("sinkhorn_iterations", self.iterations.to_string(), "1000 or less; 3 is usual");
        }
        if let Balance::Relaxed(rho) = self.balance {
            if !(rho.is_finite() && rho >= 0.0) {
                let want = "0 or more, such as 0.05, or \"balanced\"";
                return wrong("sinkhorn_balance", rho.to_string(), want);
            }
            if self.iterations == 0 {
                let want = "1 or more where head.sinkhorn_balance is a number, which only rounds read";
                return wrong("sinkhorn_iterations", "0".into(), want);
            }
            // Sums grow to N exp(2/kappa) there.
            if self.kappa < 0.03 {
                let want = "0.03 or more where head.sinkhorn_balance is a number";
                return wrong("kappa", self.kappa.to_string(), want);
            }
        }
        if !(0.0..=1.0).contains(&self.mu) {
            return wrong("momentum", self.mu.to_string(), "from 0 to 1, such as 0.999");
        }
        if !(self.tau >= 1e-3 && self.tau.is_finite()) {
            return wrong("ppc_tau", self.tau.to_string(), "0.001 or more, such as 0.1");
        }
        Ok(())
    }
}

/// The three bundles of options that the reference data was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The published head, quirks included.
    Off,
    /// The recommended default.
    #[default]
    Rec,
    /// The paper's logits and update rule.
    Pap,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named_by_their_keys() {
        let rec = Cluster::default();
        let wrong = [
            ("kappa", Cluster { kappa: 0.01, ..rec.clone() }),
            ("kappa", Cluster { kappa: f32::NAN, ..rec.clone() }),
            ("momentum", Cluster { mu: 1.5, ..rec.clone() }),
            ("ppc_tau", Cluster { tau: 0.0, ..rec.clone() }),
            ("sinkhorn_iterations", Cluster { iterations: 100_000, ..rec.clone() }),
            ("sinkhorn_balance", Cluster { balance: Balance::Relaxed(-0.1), ..rec.clone() }),
            ("sinkhorn_balance", Cluster { balance: Balance::Relaxed(f32::NAN), ..rec.clone() }),
            ("sinkhorn_iterations", Cluster { balance: Balance::Relaxed(0.1), iterations: 0, ..rec.clone() }),
            ("kappa", Cluster { balance: Balance::Relaxed(0.1), kappa: 0.025, ..rec }),
        ];
        for (key, options) in wrong {
            let message = options.validate().expect_err("out of range").to_string();
            assert!(message.contains(&format!("head.{key} is ")), "{message}");
        }
    }
}
