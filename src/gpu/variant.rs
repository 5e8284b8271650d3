//! Families of kernels: which there are, what each takes, and which one an adapter gets by default.

use crate::error::{Error, Result};

use super::caps::Tier;

/// A family of kernels. A shader file `STEM.FAMILY.wgsl` holds what an operation has of its own for a family; where there
/// is none, the family before it that it builds on stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Plain WebGPU, register tiles without workgroup memory: runs everywhere, software adapters of browsers included.
    Floor,
    /// Software adapters with subgroups of 8: one subgroup per workgroup, broadcasts instead of loads, no barrier.
    Software,
    /// GPUs, plain WebGPU: tiles in workgroup memory.
    Gpu,
    /// [`Variant::Gpu`], with reductions over the lanes of a subgroup.
    Subgroup,
    /// [`Variant::Subgroup`] where there are subgroups, with `f16` copies of the operands of convolutions and matching in
    /// workgroup memory, sums in `f32`. Results differ by about 1e-3 of their maximum.
    F16,
    /// [`Variant::F16`], with the products on cooperative matrices. Results differ as much.
    Matrix,
}

/// What a family needs to know of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// The highest tier.
    pub tier: Tier,
    /// `f16` in shaders, which some adapters have without subgroups.
    pub f16: bool,
    /// A software adapter.
    pub software: bool,
    /// Invocations per subgroup if that is fixed, else 0.
    pub subgroup_size: u32,
    /// Side of the square `f16` matrices with `f32` sums, 0 without.
    pub matrix_size: u32,
}

impl Variant {
    /// Every family.
    pub const ALL: [Self; 6] =
        [Self::Floor, Self::Software, Self::Gpu, Self::Subgroup, Self::F16, Self::Matrix];

    /// The name on the command line and in shader files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Software => "software",
            Self::Gpu => "gpu",
            Self::Subgroup => "subgroup",
            Self::F16 => "f16",
            Self::Matrix => "matrix",
        }
    }

    /// The family with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }

    /// Whether its kernels are made for devices that run thousands of invocations at once.
    #[must_use]
    pub const fn is_parallel(self) -> bool {
        matches!(self, Self::Gpu | Self::Subgroup | Self::F16 | Self::Matrix)
    }

    /// Why the adapter cannot run it, if so.
    fn lacks(self, offer: &Offer) -> Option<String> {
        match self {
            Self::Floor | Self::Gpu => None,
            Self::Software => (offer.subgroup_size != 8).then(|| match offer.subgroup_size {
                0 => "it has no subgroups of a fixed size, and those kernels are made for 8".into(),
                size => format!("its subgroups have {size} lanes, and those kernels are made for 8"),
            }),
            Self::Subgroup => {
                (offer.tier < Tier::Subgroups).then(|| "it offers no subgroup operations".into())
            }
            Self::F16 => (!offer.f16).then(|| "it offers no f16 in shaders".into()),
            Self::Matrix => {
                // Four subgroups are a workgroup, and that has 256 invocations at most.
                let fixed = (8..=64).contains(&offer.subgroup_size);
                (offer.tier < Tier::Matrix || offer.matrix_size == 0 || !fixed).then(|| {
                    "it offers no cooperative matrices of f16 with f32 sums in subgroups of a fixed size"
                        .into()
                })
            }
        }
    }

    /// The families that an adapter can run.
    pub(super) fn offered(offer: &Offer) -> Vec<Self> {
        Self::ALL.into_iter().filter(|v| v.lacks(offer).is_none()).collect()
    }

    /// The family that computes in `f32` and suits the adapter best. Never one that changes the numbers' precision.
    pub(super) fn default_for(offer: &Offer) -> Self {
        let best = if offer.software { Self::Software } else { Self::Subgroup };
        match best.lacks(offer) {
            None => best,
            Some(_) if offer.software => Self::Floor,
            Some(_) => Self::Gpu,
        }
    }

    /// `wanted`, or the default.
    ///
    /// # Errors
    /// [`Error::Device`] if the adapter called `name` lacks what the family needs.
    pub(super) fn choose(wanted: Option<Self>, offer: &Offer, name: &str) -> Result<Self> {
        let Some(variant) = wanted else { return Ok(Self::default_for(offer)) };
        let Some(reason) = variant.lacks(offer) else { return Ok(variant) };
        let names: Vec<_> = Self::offered(offer).into_iter().map(Self::name).collect();
        Err(Error::device(
            format!("`{name}` cannot run the variant `{}`: {reason}", variant.name()),
            format!("choose one of {} with --variant, or leave it out", names.join(", ")),
        ))
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Offer =
        Offer { tier: Tier::Floor, f16: false, software: false, subgroup_size: 0, matrix_size: 0 };

    #[test]
    fn the_default_never_lowers_the_precision() {
        let full = Offer { tier: Tier::Matrix, f16: true, subgroup_size: 32, matrix_size: 16, ..PLAIN };
        let lavapipe = Offer { tier: Tier::F16, f16: true, software: true, subgroup_size: 8, ..PLAIN };
        let cases = [
            (PLAIN, Variant::Gpu, "floor gpu"),
            (Offer { software: true, ..PLAIN }, Variant::Floor, "floor gpu"),
            (Offer { tier: Tier::Subgroups, ..PLAIN }, Variant::Subgroup, "floor gpu subgroup"),
            (full, Variant::Subgroup, "floor gpu subgroup f16 matrix"),
            (Offer { subgroup_size: 0, ..full }, Variant::Subgroup, "floor gpu subgroup f16"),
            (Offer { subgroup_size: 128, ..full }, Variant::Subgroup, "floor gpu subgroup f16"),
            (lavapipe, Variant::Software, "floor software gpu subgroup f16"),
            (Offer { subgroup_size: 4, ..lavapipe }, Variant::Floor, "floor gpu subgroup f16"),
        ];
        for (offer, default, offered) in cases {
            assert_eq!(Variant::default_for(&offer), default, "{offer:?}");
            let names: Vec<_> = Variant::offered(&offer).into_iter().map(Variant::name).collect();
            assert_eq!(names.join(" "), offered, "{offer:?}");
        }
    }

    #[test]
    fn what_an_adapter_lacks_is_refused_in_a_sentence() {
        let error = Variant::choose(Some(Variant::Matrix), &PLAIN, "Box").expect_err("none").to_string();
        assert!(
            error.contains("`Box`") && error.contains("`matrix`") && error.contains("floor, gpu"),
            "{error}"
        );
        for variant in Variant::ALL {
            assert_eq!(Variant::named(variant.name()), Some(variant));
        }
    }
}
