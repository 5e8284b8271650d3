//! Options of the head (spec sections 10, 14 and 15) and the three profiles.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::proto::{
    Balance, Cluster, EmptyLoss, Profile, PrototypeInit, SmallClass, UpdateAssign, UpdatePixels,
};

use super::kind::HeadKind;

/// Most layers of the query head's decoder.
const MAX_QUERY_LAYERS: usize = 12;

/// Axis of the first L2 norm (quirk Q1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjNorm {
    /// Over channels, per pixel.
    Channel,
    /// Over the image width: needed for the official checkpoints.
    Width,
    /// Not at all.
    None,
}

/// From class similarities to logits (quirk Q4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogitKind {
    /// LayerNorm over the classes, with 2C learnable numbers.
    Layernorm,
    /// Divided by `ce_tau`.
    Scaled,
    /// As they are.
    Plain,
}

macro_rules! options {
    ($($(#[$meta:meta])+ $name:ident : $ty:ty = $off:expr, $rec:expr, $pap:expr;)+) => {
        /// The `[head]` section: a profile, and whatever departs from it.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct HeadConfig {
            /// Where the options that are not given come from: `"rec"`, `"off"` (the released code) or `"pap"` (the paper's text).
            pub profile: Profile,
            $($(#[$meta])+
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<$ty>,)+
        }

        /// Every option, resolved.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct HeadOptions {
            $($(#[$meta])+
            pub $name: $ty,)+
        }

        impl HeadOptions {
            /// The options of a profile.
            #[must_use]
            pub fn profile(profile: Profile) -> Self {
                match profile {
                    Profile::Off => Self { $($name: $off,)+ },
                    Profile::Rec => Self { $($name: $rec,)+ },
                    Profile::Pap => Self { $($name: $pap,)+ },
                }
            }
        }

        impl HeadConfig {
            /// Fills in the profile.
            ///
            /// # Errors
            /// [`Error::Config`] for a value out of range, and for an option that the kind of head does not read.
            pub fn resolve(&self) -> Result<HeadOptions> {
                let mut options = HeadOptions::profile(self.profile);
                let mut given = Vec::new();
                $(if let Some(value) = &self.$name {
                    options.$name = *value;
                    given.push(stringify!($name));
                })+
                options.kind.check_given(&given)?;
                options.check()?;
                Ok(options)
            }

            /// The same with every option given that its kind of head reads, so that it means the same whatever becomes of
            /// the profile.
            ///
            /// # Errors
            /// As [`HeadConfig::resolve`].
            pub fn resolved(&self) -> Result<Self> {
                let options = self.resolve()?;
                let kind = options.kind;
                Ok(Self {
                    profile: self.profile,
                    $($name: kind.reads(stringify!($name)).then_some(options.$name),)+
                })
            }

            /// Every option of every kind with its default, for a list of keys.
            #[must_use]
            pub fn every_key() -> Self {
                let profile = Profile::default();
                let options = HeadOptions::profile(profile);
                Self { profile, $($name: Some(options.$name),)+ }
            }
        }
    };
}

options! {
    /// What classifies the embeddings: `"prototype"`, or one of the rivals in the paper's comparison, `"softmax"` (a learned vector
    /// per class) and `"query"` (a learned query per class and a decoder). Those two read `projection` and `empty_loss` of the
    /// options below, and `model.prototypes` not at all.
    #[serde(default)]
    kind: HeadKind = HeadKind::Prototype, HeadKind::Prototype, HeadKind::Prototype;
    /// Projection MLP of two 1x1 convolutions, or the features as they are (quirk Q6).
    projection: bool = true, true, true;
    /// Axis of the first L2 norm: `"channel"` (per pixel), `"width"` (over the image's width) or `"none"` (quirk Q1).
    proj_norm: ProjNorm = ProjNorm::Width, ProjNorm::Channel, ProjNorm::Channel;
    /// LayerNorm on the embedding (quirk Q5).
    embed_layernorm: bool = true, true, true;
    /// From class similarities to logits: `"layernorm"` (over the classes), `"scaled"` (divided by `ce_tau`) or `"plain"`.
    class_logit: LogitKind = LogitKind::Layernorm, LogitKind::Layernorm, LogitKind::Plain;
    /// Temperature of `class_logit = "scaled"`.
    ce_tau: f32 = 0.1, 0.1, 0.1;
    /// Temperature of the contrastive loss (quirk Q3).
    ppc_tau: f32 = 1.0, 0.1, 0.1;
    /// Weight of the pixel-prototype contrastive loss (lambda 1).
    ppc_weight: f32 = 0.01, 0.01, 0.01;
    /// Weight of the pixel-prototype distance loss (lambda 2).
    ppd_weight: f32 = 0.001, 0.001, 0.001;
    /// Assignment that moves the prototypes: `"argmax"`, or `"gumbel"` with noise (quirk Q2).
    update_assign: UpdateAssign = UpdateAssign::Gumbel, UpdateAssign::Argmax, UpdateAssign::Argmax;
    /// Pixels that move the prototypes: `"correct"`, those whose predicted class is right, or `"all"` (quirk Q7).
    update_pixels: UpdatePixels = UpdatePixels::Correct, UpdatePixels::Correct, UpdatePixels::All;
    /// A loss without a valid pixel: `"zero"` or `"nan"` (quirk Q10).
    empty_loss: EmptyLoss = EmptyLoss::Nan, EmptyLoss::Zero, EmptyLoss::Zero;
    /// Classes with fewer pixels than prototypes: `"sinkhorn"`, as all others, or `"nearest"`.
    small_class: SmallClass = SmallClass::Sinkhorn, SmallClass::Sinkhorn, SmallClass::Sinkhorn;
    /// Where the prototypes start: `"kmeans"` replaces the random directions by centres of each class's pixels before the first
    /// step that uses prototypes, which is the one after the warm-up. Random in models from before there was a choice.
    #[serde(default)]
    prototype_init: PrototypeInit = PrototypeInit::Random, PrototypeInit::Kmeans, PrototypeInit::Random;
    /// Steps between two looks for prototypes that no pixel is nearest to, which are moved onto pixels; 0 for never.
    #[serde(default)]
    revive_every: u64 = 0, 0, 0;
    /// Cosine above which two prototypes of a class count as one in that look, and the less used one is moved too; 0 for never.
    #[serde(default)]
    merge_cosine: f32 = 0.0, 0.0, 0.0;
    /// Momentum mu of the prototypes.
    momentum: f64 = 0.999, 0.999, 0.999;
    /// Smoothness kappa of the clustering.
    kappa: f32 = 0.05, 0.05, 0.05;
    /// Rounds of Sinkhorn.
    sinkhorn_iterations: usize = 3, 3, 3;
    /// How equal the prototypes' parts of a class's pixels are made: `"balanced"`, as in the paper, or a number rho of 0 or more
    /// that says how strongly they are drawn to that: 0 assigns pixels to the nearest prototype, the value of `kappa` is half-way.
    #[serde(default)]
    sinkhorn_balance: Balance = Balance::Balanced, Balance::Balanced, Balance::Balanced;
    /// Steps with the cross-entropy alone, without clustering or prototype update (spec section 10).
    warmup_steps: u64 = 0, 0, 0;
    /// Whether gradients train the prototypes in those steps (quirk Q12).
    learnable_warmup: bool = true, false, false;
    /// False: warm up for ever, a parametric cosine classifier with K learnable prototypes per class.
    use_prototype: bool = true, true, true;
    /// False: clustering and losses run, the prototypes stay where they are.
    update_prototype: bool = true, true, true;
    /// Layers of the decoder of `kind = "query"`.
    #[serde(default)]
    query_layers: usize = 2, 2, 2;
    /// Heads of its attention; each takes a multiple of 4 of the embedding's numbers.
    #[serde(default)]
    query_heads: usize = 4, 4, 4;
}

impl HeadOptions {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key.
    pub fn check(&self) -> Result<()> {
        if !(self.ce_tau.is_finite() && self.ce_tau > 0.0) {
            return Err(Error::config(format!("head.ce_tau is {}", self.ce_tau), "it must be above 0"));
        }
        for (key, value) in [("ppc_weight", self.ppc_weight), ("ppd_weight", self.ppd_weight)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::config(format!("head.{key} is {value}"), "it must be 0 or more"));
            }
        }
        if self.revive_every > 0 && !(self.use_prototype && self.update_prototype) {
            let still = if self.use_prototype { "update_prototype" } else { "use_prototype" };
            return Err(Error::config(
                format!("head.revive_every is {} and head.{still} is false", self.revive_every),
                "set head.revive_every = 0, since nothing else moves the prototypes either",
            ));
        }
        if !(0.0..1.0).contains(&self.merge_cosine) {
            let problem = format!("head.merge_cosine is {}", self.merge_cosine);
            return Err(Error::config(problem, "it must be 0 for never, or a cosine below 1, such as 0.98"));
        }
        if self.merge_cosine > 0.0 && self.revive_every == 0 {
            return Err(Error::config(
                format!("head.merge_cosine is {} and head.revive_every is 0", self.merge_cosine),
                "say with head.revive_every how often to look for twins, such as 200, or set head.merge_cosine = 0",
            ));
        }
        if self.kind == HeadKind::Query && !(1..=MAX_QUERY_LAYERS).contains(&self.query_layers) {
            let problem = format!("head.query_layers is {}", self.query_layers);
            return Err(Error::config(problem, format!("choose 1 to {MAX_QUERY_LAYERS}")));
        }
        self.cluster().validate()
    }

    /// Checks what depends on the dimension D of the embedding.
    ///
    /// # Errors
    /// [`Error::Config`] if the decoder's heads cannot share it out.
    pub fn check_dimension(&self, dimension: usize) -> Result<()> {
        let heads = self.query_heads;
        let shared_out = heads == 1 || heads > 1 && dimension.is_multiple_of(4 * heads);
        if self.kind != HeadKind::Query || shared_out {
            return Ok(());
        }
        let fitting: Vec<_> =
            (1..=64).filter(|&h| h == 1 || dimension.is_multiple_of(4 * h)).map(|h| h.to_string()).collect();
        Err(Error::config(
            format!("head.query_heads is {heads} and the embedding has {dimension} numbers"),
            format!("each head takes a multiple of 4 of them: choose one of {}", fitting.join(", ")),
        ))
    }

    /// The part that clustering, losses and update read.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster {
            kappa: self.kappa,
            iterations: self.sinkhorn_iterations,
            balance: self.sinkhorn_balance,
            mu: self.momentum,
            tau: self.ppc_tau,
            update_assign: self.update_assign,
            update_pixels: self.update_pixels,
            small_class: self.small_class,
            empty_loss: self.empty_loss,
        }
    }

    /// Whether the step runs without clustering.
    #[must_use]
    pub const fn warms_up(&self, step: u64) -> bool {
        !self.clusters() || step < self.warmup_steps
    }

    /// Whether there are prototypes that clustering moves, after the warm-up.
    const fn clusters(&self) -> bool {
        self.kind.has_prototypes() && self.use_prototype
    }

    /// Whether the prototypes are set from pixels just before `step`.
    #[must_use]
    pub fn sets_prototypes_before(&self, step: u64) -> bool {
        self.clusters() && self.prototype_init == PrototypeInit::Kmeans && step == self.warmup_steps
    }

    /// Whether unused prototypes are looked for just before `step`.
    #[must_use]
    pub const fn revives_before(&self, step: u64) -> bool {
        let started = self.clusters() && step > self.warmup_steps;
        started && self.revive_every > 0 && (step - self.warmup_steps).is_multiple_of(self.revive_every)
    }

    /// Whether gradients train the prototypes, or what a rival has in their place, in a warm-up step.
    #[must_use]
    pub const fn learns_prototypes(&self) -> bool {
        !self.clusters() || self.learnable_warmup
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_depart_from_the_profile() {
        let config: HeadConfig = toml::from_str("profile = \"off\"\nppc_tau = 0.5").expect("valid");
        let options = config.resolve().expect("valid");
        assert_eq!(options.ppc_tau, 0.5);
        assert_eq!(options.proj_norm, ProjNorm::Width);
        let init = |profile| HeadOptions::profile(profile).prototype_init;
        assert_eq!(init(Profile::Rec), PrototypeInit::Kmeans);
        assert_eq!([Profile::Off, Profile::Pap].map(init), [PrototypeInit::Random; 2]);
    }

    #[test]
    fn a_kind_refuses_what_it_would_ignore_and_resolves_to_what_it_reads() {
        let read = |text: &str| toml::from_str::<HeadConfig>(text).expect("known keys");
        let error = read("kind = \"softmax\"\nmomentum = 0.99\nkappa = 0.1").resolve().expect_err("ignored");
        let text = error.to_string();
        assert!(text.contains("head.momentum, head.kappa are given and head.kind is \"softmax\""), "{text}");
        assert!(read("query_layers = 1").resolve().is_err(), "the prototype head has no decoder");
        for kind in ["prototype", "softmax", "query"] {
            let config = read(&format!("kind = \"{kind}\"\nprofile = \"off\"")).resolved().expect("valid");
            assert_eq!(config.resolve().expect("what is resolved is valid").empty_loss, EmptyLoss::Nan);
            assert_eq!(config.momentum.is_some(), kind == "prototype");
            assert_eq!(config.query_heads.is_some(), kind == "query");
        }
        let layers = read("kind = \"query\"\nquery_layers = 0").resolve();
        assert!(layers.is_err_and(|e| e.to_string().contains("head.query_layers is 0")));
        let heads = read("kind = \"query\"\nquery_heads = 3").resolve().expect("valid");
        let error = heads.check_dimension(64).expect_err("64 is no multiple of 12");
        assert!(error.to_string().contains("1, 2, 4, 8, 16"), "{error}");
        assert!(heads.check_dimension(24).is_ok());
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        assert!(toml::from_str::<HeadConfig>("kapa = 0.1").is_err());
        let error =
            toml::from_str::<HeadConfig>("prototype_init = \"k-means\"").expect_err("another spelling");
        assert!(error.message().contains("`random` or `kmeans`"), "{error}");
        let frozen = "revive_every = 5\nupdate_prototype = false";
        let frozen: HeadConfig = toml::from_str(frozen).expect("known keys");
        assert!(frozen.resolve().is_err_and(|e| e.to_string().contains("head.update_prototype is false")));
        for (twins, part) in
            [("merge_cosine = 1.0", "below 1"), ("merge_cosine = 0.98", "head.revive_every is 0")]
        {
            let twins: HeadConfig = toml::from_str(twins).expect("known keys");
            assert!(twins.resolve().is_err_and(|e| e.to_string().contains(part)), "{part}");
        }
        let config = HeadConfig { kappa: Some(0.0), ..HeadConfig::default() };
        assert!(config.resolve().is_err_and(|e| e.to_string().contains("kappa")));
    }
}
