//! The choice of backbones, and what they have in common.

use crate::error::{Error, Result};
use crate::tape::ValueId;

use super::layers::Builder;
use super::{mobilenet_v2, scratch};

/// A feature map and how many image pixels lie between two of its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Tap {
    /// Image pixels per map pixel.
    pub stride: usize,
    /// The map `[B, ceil(H / stride), ceil(W / stride), C]`.
    pub map: ValueId,
}

/// Backbones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// MobileNetV2, width 1.0, torchvision names.
    MobilenetV2,
    /// A small residual network of ours, trained from scratch in minutes.
    Scratch,
}

impl Arch {
    /// The architecture called `name`.
    ///
    /// # Errors
    /// [`Error::Config`] that names the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "mobilenet_v2" => Ok(Self::MobilenetV2),
            "scratch" => Ok(Self::Scratch),
            _ => {
                Err(Error::config(format!("unknown architecture `{name}`"), "choose mobilenet_v2 or scratch"))
            }
        }
    }

    /// Records the backbone on `image` `[B,H,W,3]`: the last map of each stride from 4 to `output_stride`.
    ///
    /// # Errors
    /// [`Error::Config`] for a stride other than 8, 16 or 32; those of the shape rules.
    pub fn record(self, b: &mut Builder<'_>, image: ValueId, output_stride: usize) -> Result<Vec<Tap>> {
        if ![8, 16, 32].contains(&output_stride) {
            let problem = format!("model.output_stride is {output_stride}");
            return Err(Error::config(problem, "choose 8, 16 or 32"));
        }
        b.tape.enter("backbone");
        b.in_backbone = true;
        let taps = match self {
            Self::MobilenetV2 => mobilenet_v2::record(b, image, output_stride),
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
        match (self, taps.last()) {
            (Self::MobilenetV2, Some(last)) => mobilenet_v2::classifier(b, last.map).map(Some),
            _ => Ok(None),
        }
    }

    /// Names of the backbone's own tensors start with one of these.
    #[must_use]
    pub fn owns(self, name: &str) -> bool {
        match self {
            Self::MobilenetV2 => name.starts_with("features."),
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
