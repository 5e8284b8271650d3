//! How equal Sinkhorn makes the prototypes' parts of a class.
//!
//! For one class with pixels `n = 1..N`, cosines `S[n,k]` and smoothness kappa, the assignment `Q[n,k] >= 0` is the one that
//! minimises
//!
//! ```text
//! -sum Q S  +  kappa sum Q (log Q - 1)  +  rho KL(m | a)      with  sum_k Q[n,k] = 1  for every pixel,
//!
//! m_k = sum_n Q[n,k]      the pixels that prototype k gets
//! a_k = N / K             an equal part of them
//! KL(m | a) = sum_k m_k log(m_k / a_k) - m_k + a_k
//! ```
//!
//! The entropy's sign is that of spec section 5, where h is maximised. With a multiplier for every pixel's constraint, the
//! derivative for `Q[n,k]` is zero where `kappa log Q[n,k] = S[n,k] - rho log(m_k / a_k) + multiplier_n`, thus
//!
//! ```text
//! Q[n,k] = r_k E[n,k] c_n,    E = exp(S / kappa),    r_k = (a_k / m_k)^(rho / kappa)
//! ```
//!
//! and with `t_k = sum_n E[n,k] c_n`, so that `m_k = r_k t_k`, the equation for `r_k` alone is
//! `r_k^(1 + rho/kappa) = (a_k / t_k)^(rho/kappa)`:
//!
//! ```text
//! rows:     r_k = (a_k / t_k)^p,    p = rho / (rho + kappa)
//! columns:  c_n = 1 / sum_k r_k E[n,k]
//! ```
//!
//! The two steps in turn are block coordinate ascent on the dual problem, which is concave (Chizat et al., "Scaling algorithms for
//! unbalanced optimal transport problems", 2018). `p = 1` is Sinkhorn-Knopp; `p = 0` leaves all `r_k = 1`, so `Q` is the softmax of
//! `S / kappa` and its arg-max the nearest prototype. In between, a part of a class that is larger stays larger: with two
//! clusters of 90 % and 10 % and exponent p, a first row step evens out the share p of the logarithm of their quotient.
//!
//! The power is taken in logarithms, `exp(p (log a - log t))`: quotients of f32 numbers of pixels and of sums of E would
//! overflow before it. E is taken at `S - 1`, which multiplies all t and thus all r by the same number, and c undoes that.
//! For `kappa >= 0.03` every sum then stays below `N exp(2/kappa) = N exp(67)`, which is an f32 for any N.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How strongly the prototypes of a class are held to equal parts of its pixels (the module's documentation has the derivation). In
/// files: `"balanced"`, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Balance {
    /// Equal parts, as in the paper.
    #[default]
    Balanced,
    /// Parts that are drawn to equal ones with this strength rho, in units of the cosine as kappa is; 0 for not at all.
    Relaxed(f32),
}

impl Balance {
    /// The strength rho; infinite for equal parts.
    #[must_use]
    pub const fn rho(self) -> f32 {
        match self {
            Self::Balanced => f32::INFINITY,
            Self::Relaxed(rho) => rho,
        }
    }

    /// The exponent p of the row step, 1 for equal parts.
    #[must_use]
    pub fn exponent(self, kappa: f32) -> f32 {
        match self {
            Self::Balanced => 1.0,
            Self::Relaxed(rho) => (f64::from(rho) / (f64::from(rho) + f64::from(kappa))) as f32,
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::Relaxed(rho) => rho.fmt(f),
        }
    }
}

impl Serialize for Balance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Balanced => serializer.serialize_str("balanced"),
            Self::Relaxed(rho) => serializer.serialize_f32(*rho),
        }
    }
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Given)
    }
}

struct Given;

impl Visitor<'_> for Given {
    type Value = Balance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"balanced\" or a number, such as 0.05")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Balance, E> {
        match text {
            "balanced" => Ok(Balance::Balanced),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, rho: f64) -> Result<Balance, E> {
        Ok(if rho == f64::INFINITY { Balance::Balanced } else { Balance::Relaxed(rho as f32) })
    }

    fn visit_i64<E: serde::de::Error>(self, rho: i64) -> Result<Balance, E> {
        self.visit_f64(rho as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, rho: u64) -> Result<Balance, E> {
        self.visit_f64(rho as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_read_and_written() {
        for (text, balance) in [
            ("\"balanced\"", Balance::Balanced),
            ("0.1", Balance::Relaxed(0.1)),
            ("0.0", Balance::Relaxed(0.0)),
        ] {
            assert_eq!(serde_json::from_str::<Balance>(text).expect("known"), balance);
            assert_eq!(serde_json::to_string(&balance).expect("written"), text);
        }
        #[derive(Deserialize)]
        struct File {
            b: Balance,
        }
        for (text, balance) in [("b = inf", Balance::Balanced), ("b = 2", Balance::Relaxed(2.0))] {
            assert_eq!(toml::from_str::<File>(text).expect("known").b, balance);
        }
        let error = toml::from_str::<File>("b = \"equal\"").map(|file| file.b).expect_err("no such word");
        assert!(error.message().contains("\"balanced\" or a number"), "{error}");
    }

    #[test]
    fn the_exponent_goes_from_nearest_to_equal_parts() {
        assert_eq!(Balance::Relaxed(0.0).exponent(0.05), 0.0);
        assert_eq!(Balance::Relaxed(0.05).exponent(0.05), 0.5);
        assert_eq!((Balance::Balanced.exponent(0.05), Balance::Balanced.rho()), (1.0, f32::INFINITY));
    }
}
