//! The choice of backbones, and what they have in common.

use crate::error::{Error, Result};
use crate::tape::ValueId;

use super::layers::Builder;
use super::resnet::{self, Depth};
use super::{hrnet, mobilenet_v2, scratch};

/// A feature map and how many image pixels lie between two of its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    /// Image pixels per map pixel.
    pub stride: usize,
    /// The map `[B, ceil(H / stride), ceil(W / stride), C]`.
    pub map: ValueId,
}

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
    /// A small residual network of ours, trained from scratch in minutes.
    Scratch,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::MobilenetV2,
        Self::Resnet18,
        Self::Resnet34,
        Self::Resnet50,
        Self::Resnet101,
        Self::HrnetW18,
        Self::HrnetW48,
        Self::Scratch,
    ];

    /// The name in configurations and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MobilenetV2 => "mobilenet_v2",
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet101 => "resnet101",
            Self::HrnetW18 => "hrnet_w18",
            Self::HrnetW48 => "hrnet_w48",
            Self::Scratch => "scratch",
        }
    }

    /// The architecture called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] that names the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::config(format!("unknown architecture `{name}`"), format!("choose one of {known}"))
        })
    }

    /// The strides of its maps without dilation, finest first, as far as weights go of which `has` tells whether a tensor is
    /// there: a residual network's may end before `layer4`.
    #[must_use]
    pub fn strides(self, has: impl Fn(&str) -> bool) -> Vec<usize> {
        let deepest = match self {
            Self::MobilenetV2 | Self::HrnetW18 | Self::HrnetW48 => 32,
            Self::Resnet18 | Self::Resnet34 | Self::Resnet50 | Self::Resnet101 if has(LAYER4) => 32,
            _ => 16,
        };
        [4, 8, 16, 32].into_iter().filter(|&stride| stride <= deepest).collect()
    }

    /// Whether it is one of the high-resolution networks, whose maps of all strides stand side by side.
    #[must_use]
    pub const fn is_hrnet(self) -> bool {
        matches!(self, Self::HrnetW18 | Self::HrnetW48)
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
        if self.is_hrnet() && output_stride != 32 {
            let name = self.name();
            return Err(Error::config(
                format!(
                    "model.output_stride is {output_stride} and {name} has maps of strides 4 to 32 side by side"
                ),
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
        let taps = match self {
            Self::MobilenetV2 => mobilenet_v2::record(b, image, output_stride),
            Self::Resnet18 => resnet::record(b, image, Depth::D18, extent),
            Self::Resnet34 => resnet::record(b, image, Depth::D34, extent),
            Self::Resnet50 => resnet::record(b, image, Depth::D50, extent),
            Self::Resnet101 => resnet::record(b, image, Depth::D101, extent),
            Self::HrnetW18 => hrnet::record(b, image, 18, extent),
            Self::HrnetW48 => hrnet::record(b, image, 48, extent),
            Self::Scratch => scratch::record(b, image, output_stride),
        };
        b.in_backbone = false;
        b.tape.leave();
        let taps: Vec<_> = taps?.into_iter().filter(|t| t.stride >= 4).collect();
        b.taps.clone_from(&taps);
        Ok(taps)
    }

    /// Records the ImageNet classifier on the last tap, if the architecture has one.
    ///
    /// # Errors
    /// Those of the shape rules.
    pub fn record_classifier(self, b: &mut Builder<'_>, taps: &[Tap]) -> Result<Option<ValueId>> {
        let Some(last) = taps.last() else { return Ok(None) };
        match self {
            Self::MobilenetV2 => mobilenet_v2::classifier(b, last.map).map(Some),
            Self::Resnet18 | Self::Resnet34 | Self::Resnet50 | Self::Resnet101 => {
                resnet::classifier(b, last.map).map(Some)
            }
            // HRNet's classifier reads all four maps; its weights are not needed for anything else.
            Self::HrnetW18 | Self::HrnetW48 | Self::Scratch => Ok(None),
        }
    }

    /// Names of the backbone's own tensors start with one of these.
    #[must_use]
    pub fn owns(self, name: &str) -> bool {
        match self {
            Self::MobilenetV2 => name.starts_with("features."),
            Self::Resnet18 | Self::Resnet34 | Self::Resnet50 | Self::Resnet101 => {
                ["conv1.", "bn1.", "layer"].iter().any(|part| name.starts_with(part))
            }
            Self::HrnetW18 | Self::HrnetW48 => {
                let parts = ["conv1.", "bn1.", "conv2.", "bn2.", "layer1.", "transition", "stage"];
                parts.iter().any(|part| name.starts_with(part))
            }
            Self::Scratch => name.starts_with("backbone."),
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
