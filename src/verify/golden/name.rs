//! What a tensor's name says, and how exact it must be (README of the golden files).

use crate::proto::Profile;
use crate::verify::compare::Tolerance;

/// A reference tensor's name, taken apart: `PROFILE[32|64].[sampled.]QUANTITY`, or a quantity that all profiles share.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// `None` for what does not depend on the profile.
    pub profile: Option<Profile>,
    /// Whether it is given at the sampled pixels only.
    pub sampled: bool,
    /// What is computed.
    pub quantity: String,
}

const INPUTS: [&str; 13] = [
    "features", "w1", "b1", "w2", "b2", "fn_w", "fn_b", "mn_w", "mn_b", "protos", "labels", "ce_w", "gumbel",
];

impl Name {
    /// `None` for a name of another form.
    pub fn parse(name: &str) -> Option<Self> {
        if ["gt", "protos_norm"].contains(&name) {
            return Some(Self::of_all(name));
        }
        let (prefix, rest) = name.split_once('.')?;
        let profile = match prefix.strip_suffix("32").or(prefix.strip_suffix("64")).unwrap_or(prefix) {
            "off" => Profile::Off,
            "rec" => Profile::Rec,
            "pap" => Profile::Pap,
            _ => return None,
        };
        let quantity = rest.strip_prefix("sampled.");
        let sampled = quantity.is_some();
        Some(Self { profile: Some(profile), sampled, quantity: quantity.unwrap_or(rest).to_owned() })
    }

    /// All of `quantity`, of whatever profile.
    pub fn of_all(quantity: &str) -> Self {
        Self { profile: None, sampled: false, quantity: quantity.to_owned() }
    }

    /// Whether it is compared as whole numbers.
    pub fn is_decision(&self) -> bool {
        const DECISIONS: [&str; 10] = [
            "gt",
            "assign",
            "assign_gumbel",
            "target",
            "pred",
            "correct",
            "counts",
            "near_proto",
            "win_proto",
            "pred_full",
        ];
        DECISIONS.contains(&self.quantity.as_str())
    }

    /// Whether the full tensor is a map `[B, channels, H, W]`.
    pub fn is_map(&self) -> bool {
        let q = self.quantity.as_str();
        !self.sampled && (["raw", "proj_norm", "seg", "g_x"].contains(&q) || q.starts_with("g_raw_"))
    }

    /// The number of rounds of a soft assignment `qN`.
    pub fn rounds(&self) -> Option<usize> {
        self.quantity.strip_prefix('q').and_then(|n| n.parse().ok())
    }

    /// The tolerance suggested for an f32 implementation.
    pub fn tolerance(&self, num_classes: usize) -> Tolerance {
        use Tolerance::{Absolute, Relative};
        // With two classes the mask norm divides by a spread that f32 hardly resolves.
        let two = num_classes == 2;
        match self.quantity.as_str() {
            _ if self.is_decision() => Absolute(0.0),
            "ln" => Absolute(2e-5),
            "seg" => Absolute(if two { 2e-4 } else { 5e-5 }),
            "q0" => Relative(1e-4),
            q if q.starts_with("loss_") => Relative(1e-5),
            q if q.starts_with("g_") => Relative(if two { 1e-3 } else { 1e-4 }),
            q if q.starts_with("protos_") => Absolute(2e-6),
            _ if self.rounds().is_some() => Absolute(1e-4),
            // raw, proj_norm, emb, sim, maxsim
            _ => Absolute(5e-6),
        }
    }
}

/// Whether `name` is an input or the list of sampled pixels, which nothing is compared with.
pub fn is_input(name: &str) -> bool {
    name == "sample" || name.strip_prefix("in.").is_some_and(|input| INPUTS.contains(&input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = Name::parse("off32.g_raw_ce").expect("a name");
        assert_eq!((name.profile, name.sampled, name.is_map()), (Some(Profile::Off), false, true));
        let name = Name::parse("rec64.sampled.seg").expect("a name");
        assert_eq!((name.profile, name.sampled, name.is_map()), (Some(Profile::Rec), true, false));
        assert_eq!(Name::parse("pap.assign").expect("a name").profile, Some(Profile::Pap));
        assert_eq!(Name::parse("off64.q12").expect("a name").rounds(), Some(12));
        assert_eq!(Name::parse("gt").expect("a name").profile, None);
        for other in ["max.seg", "seg", "offf64.seg", "in.features"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        assert!(is_input("in.ce_w") && is_input("sample") && !is_input("in.other"));
    }

    #[test]
    fn tolerances_depend_on_the_number_of_classes() {
        let of = |name: &str, classes| Name::parse(name).expect("a name").tolerance(classes);
        assert_eq!(of("off64.g_x", 2), Tolerance::Relative(1e-3));
        assert_eq!(of("off64.g_x", 3), Tolerance::Relative(1e-4));
        assert_eq!(of("off64.seg", 2), Tolerance::Absolute(2e-4));
        assert_eq!(of("rec64.seg", 19), Tolerance::Absolute(5e-5));
        assert_eq!(of("rec.near_proto", 19), Tolerance::Absolute(0.0));
        assert_eq!(of("rec64.protos_after", 19), Tolerance::Absolute(2e-6));
    }
}
