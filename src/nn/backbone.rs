//! The choice of backbones, and what they have in common.

use crate::error::{Error, Result};
use crate::ops::{self, Corners};
use crate::tape::ValueId;

use super::layers::Builder;
use super::mit::{self, Mit};
use super::resnet::{self, Depth};
use super::swin::{self, Swin};
use super::vit::{self, Vit};
use super::{hrnet, mobilenet_v2, scratch};

/// A feature map and how many image pixels lie between two of its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    /// Image pixels per map pixel.
    pub stride: usize,
    /// The map `[B, ceil(H / stride), ceil(W / stride), C]`.
    pub map: ValueId,
}

/// Image pixels per pixel of the map that [`Builder::middle`] holds, where nothing is dilated: the third of four stages makes it.
pub const MIDDLE_STRIDE: usize = 16;

/// A tensor of the residual networks' last layer.
const LAYER4: &str = "layer4.0.conv1.weight";

/// How far a backbone is recorded, in image pixels per map pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The stride that is not exceeded: 8, 16 or 32; what would is dilated instead.
    pub output_stride: usize,
    /// The largest stride that a map is wanted of. The residual networks end with the last map of it, so that weights
    /// without the layers behind it will do.
    pub deepest: usize,
}

/// Backbones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// MobileNetV2, width 1.0, torchvision names.
    MobilenetV2,
    /// ResNet-18, torchvision names.
    Resnet18,
    /// ResNet-34, torchvision names.
    Resnet34,
    /// ResNet-50, torchvision names.
    Resnet50,
    /// ResNet-101, torchvision names.
    Resnet101,
    /// HRNetV2-W18, the names of the authors' code, timm and mmsegmentation.
    HrnetW18,
    /// HRNetV2-W48, the paper's.
    HrnetW48,
    /// ViT-Tiny, timm names.
    #[serde(rename = "vit_tiny_patch16_224")]
    VitTiny,
    /// ViT-Small, timm names.
    #[serde(rename = "vit_small_patch16_224")]
    VitSmall,
    /// ViT-Base, timm names.
    #[serde(rename = "vit_base_patch16_224")]
    VitBase,
    /// DINOv2's ViT-Small, timm names.
    #[serde(rename = "vit_small_patch14_dinov2")]
    Dinov2Small,
    /// DINOv2's ViT-Base, timm names.
    #[serde(rename = "vit_base_patch14_dinov2")]
    Dinov2Base,
    /// DINOv2's ViT-Small with four registers, timm names.
    #[serde(rename = "vit_small_patch14_reg4_dinov2")]
    Dinov2SmallReg4,
    /// DINOv2's ViT-Base with four registers, timm names.
    #[serde(rename = "vit_base_patch14_reg4_dinov2")]
    Dinov2BaseReg4,
    /// DINOv2's giant ViT, timm names.
    #[serde(rename = "vit_giant_patch14_dinov2")]
    Dinov2Giant,
    /// Swin-T, timm names.
    #[serde(rename = "swin_tiny_patch4_window7_224")]
    SwinTiny,
    /// Swin-S, timm names.
    #[serde(rename = "swin_small_patch4_window7_224")]
    SwinSmall,
    /// Swin-B, timm names.
    #[serde(rename = "swin_base_patch4_window7_224")]
    SwinBase,
    /// Swin-B with windows of 12, timm names.
    #[serde(rename = "swin_base_patch4_window12_384")]
    SwinBase384,
    /// MiT-B0, the encoder of SegFormer-B0, Hugging Face's names.
    MitB0,
    /// MiT-B1.
    MitB1,
    /// MiT-B2.
    MitB2,
    /// MiT-B3.
    MitB3,
    /// MiT-B4.
    MitB4,
    /// MiT-B5.
    MitB5,
    /// A small residual network of ours, trained from scratch in minutes.
    Scratch,
}

impl Arch {
    /// All of them, with their names in configurations and on the command line, and as people write them.
    const TABLE: &[(Self, &'static str, &'static str)] = &[
        (Self::MobilenetV2, "mobilenet_v2", "MobileNetV2"),
        (Self::Resnet18, "resnet18", "ResNet-18"),
        (Self::Resnet34, "resnet34", "ResNet-34"),
        (Self::Resnet50, "resnet50", "ResNet-50"),
        (Self::Resnet101, "resnet101", "ResNet-101"),
        (Self::HrnetW18, "hrnet_w18", "HRNetV2-W18"),
        (Self::HrnetW48, "hrnet_w48", "HRNetV2-W48"),
        (Self::VitTiny, "vit_tiny_patch16_224", "ViT-Tiny/16"),
        (Self::VitSmall, "vit_small_patch16_224", "ViT-Small/16"),
        (Self::VitBase, "vit_base_patch16_224", "ViT-Base/16"),
        (Self::Dinov2Small, "vit_small_patch14_dinov2", "DINOv2 ViT-Small/14"),
        (Self::Dinov2Base, "vit_base_patch14_dinov2", "DINOv2 ViT-Base/14"),
        (Self::Dinov2SmallReg4, "vit_small_patch14_reg4_dinov2", "DINOv2 ViT-Small/14 with registers"),
        (Self::Dinov2BaseReg4, "vit_base_patch14_reg4_dinov2", "DINOv2 ViT-Base/14 with registers"),
        (Self::Dinov2Giant, "vit_giant_patch14_dinov2", "DINOv2 ViT-giant/14"),
        (Self::SwinTiny, "swin_tiny_patch4_window7_224", "Swin-T"),
        (Self::SwinSmall, "swin_small_patch4_window7_224", "Swin-S"),
        (Self::SwinBase, "swin_base_patch4_window7_224", "Swin-B"),
        (Self::SwinBase384, "swin_base_patch4_window12_384", "Swin-B with windows of 12"),
        (Self::MitB0, "mit_b0", "MiT-B0"),
        (Self::MitB1, "mit_b1", "MiT-B1"),
        (Self::MitB2, "mit_b2", "MiT-B2"),
        (Self::MitB3, "mit_b3", "MiT-B3"),
        (Self::MitB4, "mit_b4", "MiT-B4"),
        (Self::MitB5, "mit_b5", "MiT-B5"),
        (Self::Scratch, "scratch", "small residual net"),
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        Self::TABLE.iter().find(|row| row.0 == self).expect("every architecture has a row")
    }

    /// The name in configurations and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The name as people write it.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// What it is built of.
    const fn family(self) -> Family {
        match self {
            Self::MobilenetV2 => Family::MobilenetV2,
            Self::Resnet18 => Family::Resnet(Depth::D18),
            Self::Resnet34 => Family::Resnet(Depth::D34),
            Self::Resnet50 => Family::Resnet(Depth::D50),
            Self::Resnet101 => Family::Resnet(Depth::D101),
            Self::HrnetW18 => Family::Hrnet(18),
            Self::HrnetW48 => Family::Hrnet(48),
            Self::VitTiny => Family::Vit(Vit::TINY),
            Self::VitSmall => Family::Vit(Vit::SMALL),
            Self::VitBase => Family::Vit(Vit::BASE),
            Self::Dinov2Small => Family::Vit(Vit::DINOV2_SMALL),
            Self::Dinov2Base => Family::Vit(Vit::DINOV2_BASE),
            Self::Dinov2SmallReg4 => Family::Vit(Vit::DINOV2_SMALL_REG4),
            Self::Dinov2BaseReg4 => Family::Vit(Vit::DINOV2_BASE_REG4),
            Self::Dinov2Giant => Family::Vit(Vit::DINOV2_GIANT),
            Self::SwinTiny => Family::Swin(Swin::TINY),
            Self::SwinSmall => Family::Swin(Swin::SMALL),
            Self::SwinBase => Family::Swin(Swin::BASE),
            Self::SwinBase384 => Family::Swin(Swin::BASE_384),
            Self::MitB0 => Family::Mit(Mit::B0),
            Self::MitB1 => Family::Mit(Mit::B1),
            Self::MitB2 => Family::Mit(Mit::B2),
            Self::MitB3 => Family::Mit(Mit::B3),
            Self::MitB4 => Family::Mit(Mit::B4),
            Self::MitB5 => Family::Mit(Mit::B5),
            Self::Scratch => Family::Scratch,
        }
    }

    /// The architecture called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] that names the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        // Files of weights are named so that say how much of the network they hold.
        let name = name.strip_suffix("_stride16").unwrap_or(name);
        Self::all().find(|arch| arch.name() == name).ok_or_else(|| {
            let known = Self::all().map(Self::name).collect::<Vec<_>>().join(", ");
            Error::config(format!("unknown architecture `{name}`"), format!("choose one of {known}"))
        })
    }

    /// The strides of its maps without dilation, finest first, as far as weights go of which `has` tells whether a tensor is
    /// there: a residual network's may end before `layer4`.
    #[must_use]
    pub fn strides(self, has: impl Fn(&str) -> bool) -> Vec<usize> {
        let deepest = match self.family() {
            Family::Resnet(_) if !has(LAYER4) => 16,
            Family::Scratch => 16,
            // One map, at the stride of the patches.
            Family::Vit(_) => return vec![16],
            Family::MobilenetV2 | Family::Resnet(_) | Family::Hrnet(_) | Family::Swin(_) | Family::Mit(_) => {
                32
            }
        };
        [4, 8, 16, 32].into_iter().filter(|&stride| stride <= deepest).collect()
    }

    /// Whether it is one of the high-resolution networks, whose maps of all strides stand side by side.
    #[must_use]
    pub const fn is_hrnet(self) -> bool {
        matches!(self.family(), Family::Hrnet(_))
    }

    /// Refuses an output stride that has no meaning for it.
    ///
    /// # Errors
    /// [`Error::Config`] for another than 8, 16 or 32, or than 32 for a high-resolution network, in which nothing is dilated.
    pub fn check_output_stride(self, output_stride: usize) -> Result<()> {
        if ![8, 16, 32].contains(&output_stride) {
            let problem = format!("model.output_stride is {output_stride}");
            return Err(Error::config(problem, "choose 8, 16 or 32"));
        }
        if output_stride != 32 && !self.can_dilate() {
            return Err(Error::config(
                format!("model.output_stride is {output_stride} and {} has fixed strides", self.name()),
                "leave it at 32; the finest of model.taps is the resolution of the embeddings",
            ));
        }
        Ok(())
    }

    /// Records the backbone on `image` `[B,H,W,3]`: the last map of each stride from 4 to `extent.output_stride`, without
    /// those that [`Extent::deepest`] spares.
    ///
    /// # Errors
    /// Those of [`Arch::check_output_stride`] and of the shape rules.
    pub fn record(self, b: &mut Builder<'_>, image: ValueId, extent: Extent) -> Result<Vec<Tap>> {
        let Extent { output_stride, .. } = extent;
        self.check_output_stride(output_stride)?;
        b.tape.enter("backbone");
        b.in_backbone = true;
        b.middle = None;
        let taps = match self.family() {
            Family::MobilenetV2 => mobilenet_v2::record(b, image, output_stride),
            Family::Resnet(depth) => resnet::record(b, image, depth, extent),
            Family::Hrnet(width) => hrnet::record(b, image, width, extent),
            Family::Vit(size) => vit::record(b, image, size),
            Family::Swin(size) => swin::record(b, image, size),
            Family::Mit(size) => mit::record(b, image, size),
            Family::Scratch => scratch::record(b, image, output_stride),
        };
        b.in_backbone = false;
        b.tape.leave();
        let taps: Vec<_> = taps?.into_iter().filter(|t| t.stride >= 4).collect();
        if !self.is_plain() {
            b.middle = taps.iter().find(|tap| tap.stride == MIDDLE_STRIDE).copied().or(b.middle);
        }
        Ok(taps)
    }

    /// Records the ImageNet classifier on the last tap, if the architecture has one.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record_classifier(self, b: &mut Builder<'_>, taps: &[Tap]) -> Result<Option<ValueId>> {
        let Some(last) = taps.last() else { return Ok(None) };
        match self.family() {
            Family::MobilenetV2 => mobilenet_v2::classifier(b, last.map).map(Some),
            Family::Resnet(_) => resnet::classifier(b, last.map).map(Some),
            Family::Vit(_) => b.tokens.map(|tokens| vit::classifier(b, tokens)).transpose(),
            Family::Swin(_) => b.tokens.map(|x| swin::classifier(b, x)).transpose(),
            Family::Mit(_) => mit::classifier(b, last.map).map(Some),
            // HRNet's classifier reads all four maps; its weights are not needed for anything else.
            Family::Hrnet(_) | Family::Scratch => Ok(None),
        }
    }

    /// The place among the maps of [`Arch::record`] of the one behind the first `blocks` blocks of a plain transformer.
    #[must_use]
    pub const fn level(self, blocks: usize) -> Option<usize> {
        match self.family() {
            Family::Vit(size) => size.level(blocks),
            _ => None,
        }
    }

    /// Whether there are branches that can be left out while training.
    #[must_use]
    pub const fn has_branches(self) -> bool {
        matches!(self.family(), Family::Vit(_) | Family::Swin(_) | Family::Mit(_))
    }

    /// Whether strides can be exchanged for dilation.
    #[must_use]
    pub const fn can_dilate(self) -> bool {
        matches!(self.family(), Family::MobilenetV2 | Family::Resnet(_) | Family::Scratch)
    }

    /// Whether some weights of the backbone have the tensor called `name` and others, of the same network, do not: the norms of
    /// the stages, which a classifier lacks.
    #[must_use]
    pub fn may_own(self, name: &str) -> bool {
        matches!(self.family(), Family::Swin(_))
            && (0..4).any(|stage| name.starts_with(&format!("norm{stage}.")))
    }

    /// Whether all its maps have the same stride, one map for each level of depth.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        matches!(self.family(), Family::Vit(_))
    }

    /// The maps for the strides `wanted`, ascending, among the `taps` of [`Arch::record`]. Those of a plain vision transformer are
    /// levels of depth: as many of them as are wanted, evenly spaced down to the last, are resized to the strides wanted; a
    /// single one stays as it is.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn choose(
        self,
        b: &mut Builder<'_>,
        taps: Vec<Tap>,
        wanted: &[usize],
        image: [usize; 2],
    ) -> Result<Vec<Tap>> {
        if !self.is_plain() {
            return Ok(taps.into_iter().filter(|tap| wanted.contains(&tap.stride)).collect());
        }
        let level = |i: usize| taps[((i + 1) * taps.len()).div_ceil(wanted.len()) - 1];
        if wanted.len() == 1 {
            return Ok(vec![level(0)]);
        }
        let resized = |(i, &stride): (usize, &usize)| {
            let size = image.map(|side| side.div_ceil(stride));
            Ok(Tap { stride, map: ops::resize(b.tape, level(i).map, size, Corners::Half)? })
        };
        wanted.iter().enumerate().map(resized).collect()
    }

    /// Whether the usual weights were trained on colours with mean and deviation 0.5, and not on those of ImageNet.
    #[must_use]
    pub const fn is_trained_on_halves(self) -> bool {
        matches!(self, Self::VitTiny | Self::VitSmall | Self::VitBase)
    }

    /// Names of the backbone's own tensors start with one of these.
    #[must_use]
    pub fn owns(self, name: &str) -> bool {
        let parts: &[&str] = match self.family() {
            Family::MobilenetV2 => &["features."],
            Family::Resnet(_) => &["conv1.", "bn1.", "layer"],
            Family::Hrnet(_) => &["conv1.", "bn1.", "conv2.", "bn2.", "layer1.", "transition", "stage"],
            Family::Vit(_) => &["patch_embed.", "cls_token", "reg_token", "pos_embed", "blocks.", "norm."],
            Family::Swin(_) => &["patch_embed.", "layers."],
            Family::Mit(_) => &["encoder."],
            Family::Scratch => &["backbone."],
        };
        parts.iter().any(|part| name.starts_with(part))
    }
}

/// Networks that are built alike.
#[derive(Clone, Copy, Debug)]
enum Family {
    MobilenetV2,
    Resnet(Depth),
    /// Channels of the finest branch.
    Hrnet(usize),
    Vit(Vit),
    Swin(Swin),
    Mit(Mit),
    Scratch,
}

impl Builder<'_> {
    /// Takes `tap` for [`Builder::middle`] if that is its stride without `dilation`: of several, the last.
    pub(super) fn note_middle(&mut self, tap: Tap, dilation: usize) {
        if tap.stride * dilation == MIDDLE_STRIDE {
            self.middle = Some(tap);
        }
    }
}

/// The stride to use for a block that wants `wanted`: that, or 1 with the dilation multiplied once the network's stride
/// has reached `output_stride`.
pub(super) fn stride_or_dilate(
    wanted: usize,
    output_stride: usize,
    stride: &mut usize,
    dilation: &mut usize,
) -> usize {
    if *stride * wanted <= output_stride {
        *stride *= wanted;
        wanted
    } else {
        *dilation *= wanted;
        1
    }
}
