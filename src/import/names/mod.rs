//! From the names of the libraries that people have weights of to the names that the networks here use.
//!
//! A family of networks has one canonical set of names and a [`Dialect`] for every library that calls the same tensors otherwise.
//! A file's dialect is found by trying them all: the one that names the most of what the network needs is right.

mod hrnet;
mod mit;
mod mobilenet_v2;
mod pattern;
mod protoseg;
mod resnet;
mod swin;
mod vit;

use crate::nn::Arch;

pub use pattern::{Change, Rule, rename};

/// Networks that share their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The residual networks, as torchvision calls their parts.
    Resnet,
    /// MobileNetV2, as torchvision does.
    MobilenetV2,
    /// HRNet, as the authors and timm do.
    Hrnet,
    /// Vision transformers, those of DINOv2 among them, as timm does.
    Vit,
    /// Swin transformers, as timm does, with the norms `norm0` to `norm3` of the stages' maps.
    Swin,
    /// The encoders of SegFormer, as transformers' files do.
    Mit,
    /// The whole model of the method's authors, as model files here do.
    ProtoSeg,
    /// Networks of this program, which have no other names.
    Own,
}

/// The family of an architecture: the one place that a new architecture is added to.
#[must_use]
pub const fn family_of(arch: Arch) -> Family {
    match arch {
        Arch::MobilenetV2 => Family::MobilenetV2,
        Arch::Resnet18 | Arch::Resnet34 | Arch::Resnet50 | Arch::Resnet101 => Family::Resnet,
        Arch::HrnetW18 | Arch::HrnetW48 => Family::Hrnet,
        Arch::VitTiny
        | Arch::VitSmall
        | Arch::VitBase
        | Arch::Dinov2Small
        | Arch::Dinov2Base
        | Arch::Dinov2SmallReg4
        | Arch::Dinov2BaseReg4
        | Arch::Dinov2Giant => Family::Vit,
        Arch::SwinTiny | Arch::SwinSmall | Arch::SwinBase | Arch::SwinBase384 => Family::Swin,
        Arch::MitB0 | Arch::MitB1 | Arch::MitB2 | Arch::MitB3 | Arch::MitB4 | Arch::MitB5 => Family::Mit,
        Arch::Scratch => Family::Own,
    }
}

impl Family {
    /// What the libraries call the family's tensors, the canonical names first.
    #[must_use]
    pub fn dialects(self) -> Vec<Dialect> {
        match self {
            Self::Resnet => resnet::dialects(),
            Self::MobilenetV2 => mobilenet_v2::dialects(),
            Self::Hrnet => hrnet::dialects(),
            Self::Vit => vit::dialects(),
            Self::Swin => swin::dialects(),
            Self::Mit => mit::dialects(),
            Self::ProtoSeg => protoseg::dialects(),
            Self::Own => vec![Dialect::same("protoseg")],
        }
    }
}

/// The names of one library.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Who uses them.
    pub source: &'static str,
    /// Prefixes that some of the names have and others lack.
    inner: &'static [&'static str],
    rules: Vec<Rule>,
    /// What differs beside the names.
    pub note: Option<&'static str>,
}

impl Dialect {
    /// The canonical names.
    fn same(source: &'static str) -> Self {
        Self::of(source, vec![Rule::new("*", "*", Change::Whole)])
    }

    fn of(source: &'static str, rules: Vec<Rule>) -> Self {
        Self { source, inner: &[], rules, note: None }
    }

    /// The canonical names of what is called `name`, and what becomes of it for each.
    #[must_use]
    pub fn rename(&self, name: &str) -> Vec<(String, Change)> {
        let inner = self.inner.iter().find_map(|inner| name.strip_prefix(inner));
        rename(&self.rules, inner.unwrap_or(name))
    }
}

/// Rules that change the name alone.
fn renamed(pairs: &[(&str, &str)]) -> Vec<Rule> {
    pairs.iter().map(|&(from, to)| Rule::new(from, to, Change::Whole)).collect()
}

/// Rules for tensors that become one.
fn joined(from: &[&str], to: &str) -> Vec<Rule> {
    let of = from.len();
    from.iter().enumerate().map(|(part, &from)| Rule::new(from, to, Change::Join { part, of })).collect()
}

/// Rules for a tensor that becomes several.
fn split(from: &str, to: &[&str]) -> Vec<Rule> {
    let of = to.len();
    to.iter().enumerate().map(|(part, &to)| Rule::new(from, to, Change::Slice { part, of })).collect()
}

#[cfg(test)]
mod tests;
