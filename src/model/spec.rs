//! Everything about a model that is not a number in a tensor; stored as JSON in the model file.

use serde::{Deserialize, Serialize};

use crate::data::augment::MAX_CROP;
use crate::data::{Classes, Normalisation};
use crate::error::{Error, Result};
use crate::head::HeadOptions;
use crate::nn::{Arch, Extent, Neck, Upsampling};
use crate::ops::sinkhorn::MAX_PROTOS;

/// Architecture and widths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetOptions {
    /// Backbone: `"mobilenet_v2"`, `"resnet18"`, `"resnet34"`, `"resnet50"`, `"resnet101"`, `"hrnet_w18"`, `"hrnet_w48"`, the vision transformers
    /// `"vit_tiny_patch16_224"`, `"vit_small_patch16_224"`, `"vit_base_patch16_224"`, DINOv2's `"vit_small_patch14_dinov2"`,
    /// `"vit_base_patch14_dinov2"`, both with `reg4_` before `dinov2`, and `"vit_giant_patch14_dinov2"`, the Swin transformers
    /// `"swin_tiny_patch4_window7_224"`, `"swin_small_patch4_window7_224"`, `"swin_base_patch4_window7_224"` and
    /// `"swin_base_patch4_window12_384"`, SegFormer's `"mit_b0"` to `"mit_b5"`, or `"scratch"`, a small one for training without
    /// `train.weights`.
    pub arch: Arch,
    /// How an HRNet enlarges its coarse branches: `"align"` (bilinear with aligned corners, as the paper's code), `"half"`
    /// (bilinear with half pixels, as mmsegmentation) or `"nearest"` (as timm). Weights fit all three; give what they were
    /// trained with.
    pub hrnet_upsampling: Upsampling,
    /// Enlargement of images before the network, 1 to 4: what is small in the data set is seen better, for the square of it in
    /// time. The scales and the crop of `augment` count from the enlarged image.
    pub input_scale: f32,
    /// Image pixels per pixel of the last map: 8, 16 or 32; smaller by dilation. An HRNet and transformers have 32.
    pub output_stride: usize,
    /// Strides whose maps are used, finest first; the finest is the resolution of the embeddings. A ResNet ends with the last
    /// of them: with an output stride of 32 and taps up to 16 it has no layer4, and needs no weights of it. A ViT has one
    /// resolution: `[16]` takes its last map as it is, and several strides take as many maps from evenly spaced depths, resized.
    pub taps: Vec<usize>,
    /// What stands between backbone and head: `"mix"`, cheap; `"linear"`, one 1x1 convolution of the maps as `protoseg fit` makes
    /// it; or the decoder of a published network: `"fcn"` (at the deepest tap's resolution), `"upernet"`, `"segformer"`,
    /// `"hrnet"` (the paper's, with a width of 720 for HRNetV2-W48) or `"aspp"` (DeepLabV3+).
    pub neck: Neck,
    /// Channels inside the necks `"mix"`, `"upernet"`, `"segformer"` and `"aspp"`: of each lateral map, embedding or branch.
    pub lateral: usize,
    /// Channels that leave the neck and enter the projection head.
    pub width: usize,
    /// Probability of dropping a channel before the head while training.
    pub dropout: f32,
    /// Probability of leaving a branch of the last block of a transformer out of an image while training (stochastic depth); for
    /// the blocks before it falls linearly to 0.
    pub drop_path: f32,
    /// Dimension D of the embedding.
    pub embedding: usize,
    /// Prototypes K per class, 1 to 64.
    pub prototypes: usize,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            arch: Arch::MobilenetV2,
            hrnet_upsampling: Upsampling::Align,
            input_scale: 1.0,
            output_stride: 32,
            taps: vec![4, 8, 16, 32],
            neck: Neck::Mix,
            lateral: 64,
            width: 128,
            dropout: 0.1,
            drop_path: 0.0,
            embedding: 64,
            prototypes: 10,
        }
    }
}

impl NetOptions {
    /// The dimension D of the embedding that `head` makes: without a projection that of the features.
    #[must_use]
    pub const fn dimension(&self, head: &HeadOptions) -> usize {
        if head.projection { self.embedding } else { self.width }
    }

    /// How far the backbone is recorded.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let deepest = self.taps.last().copied().unwrap_or(self.output_stride);
        Extent { output_stride: self.output_stride, deepest }
    }

    /// Height and width that an image of `size` enters the network with.
    #[must_use]
    pub fn input_size(&self, size: [usize; 2]) -> [usize; 2] {
        size.map(|side| (side as f64 * f64::from(self.input_scale)).round() as usize)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key.
    pub fn check(&self) -> Result<()> {
        let wrong = |problem: String, want: &str| Err(Error::config(problem, want));
        if !(1.0..=4.0).contains(&self.input_scale) {
            return wrong(
                format!("model.input_scale is {}", self.input_scale),
                "choose a number from 1 to 4",
            );
        }
        self.arch.check_output_stride(self.output_stride)?;
        if self.hrnet_upsampling != Upsampling::default() && !self.arch.is_hrnet() {
            let problem = format!("model.hrnet_upsampling is given and the backbone is {}", self.arch.name());
            return wrong(problem, "leave it out, or choose an HRNet for model.arch");
        }
        let ordered = self.taps.windows(2).all(|pair| pair[0] < pair[1]);
        let known = self.taps.iter().all(|t| [4, 8, 16, 32].contains(t) && *t <= self.output_stride);
        if self.taps.is_empty() || !ordered || !known {
            let want = "list strides out of 4, 8, 16, 32, ascending and up to model.output_stride";
            return wrong(format!("model.taps is {:?}", self.taps), want);
        }
        if self.arch == Arch::Scratch && self.taps.contains(&32) {
            return wrong(
                "model.taps holds 32 and the scratch backbone ends at 16".into(),
                "use taps up to 16",
            );
        }
        self.neck.check(&self.taps)?;
        for (key, value) in [("lateral", self.lateral), ("width", self.width), ("embedding", self.embedding)]
        {
            if value == 0 || value > 4096 {
                return wrong(format!("model.{key} is {value}"), "choose 1 to 4096");
            }
        }
        if !(1..=MAX_PROTOS).contains(&self.prototypes) {
            let problem = format!("model.prototypes is {}", self.prototypes);
            return wrong(problem, &format!("choose 1 to {MAX_PROTOS}"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!("model.dropout is {}", self.dropout), "choose a probability below 1");
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return wrong(format!("model.drop_path is {}", self.drop_path), "choose a probability below 1");
        }
        if self.drop_path > 0.0 && !self.arch.has_branches() {
            let problem = format!("model.drop_path is given and {} is no transformer", self.arch.name());
            return wrong(problem, "remove it, or choose a vit, swin or mit for model.arch");
        }
        Ok(())
    }
}

/// The normalisation with which the usual weights of `arch` were trained.
#[must_use]
pub fn usual_normalisation(arch: Arch) -> Normalisation {
    if arch.is_trained_on_halves() {
        Normalisation { mean: [0.5; 3], std: [0.5; 3] }
    } else {
        Normalisation::default()
    }
}

/// How a model came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this crate.
    pub protoseg: String,
    /// Seed of the run.
    pub seed: u32,
    /// Steps done.
    pub step: u64,
    /// Validation mIoU at that step, as a fraction, if it was evaluated then.
    pub miou: Option<f64>,
    /// Validation images that it was measured on.
    #[serde(default)]
    pub val_images: usize,
    /// Name of the data set's folder.
    pub data: String,
    /// Height and width of the crops it was trained on.
    pub crop: [usize; 2],
}

/// What a model file's metadata holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Architecture and widths.
    pub net: NetOptions,
    /// Options of the head.
    pub head: HeadOptions,
    /// Class names and colours.
    pub classes: Classes,
    /// Input normalisation.
    pub normalisation: Normalisation,
    /// Training provenance.
    pub provenance: Provenance,
}

impl ModelSpec {
    /// Checks what the types do not; a description that passes can be recorded.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key.
    pub fn check(&self) -> Result<()> {
        self.net.check()?;
        self.head.check()?;
        self.head.check_dimension(self.net.dimension(&self.head))?;
        self.normalisation.validate()?;
        if self.classes.is_empty() {
            return Err(Error::config("the class list is empty", "name at least one class"));
        }
        let crop = self.provenance.crop;
        if !crop.iter().all(|side| (1..=MAX_CROP).contains(side)) {
            let problem = format!("provenance.crop is {crop:?}");
            return Err(Error::config(
                problem,
                format!("it must be two numbers of pixels from 1 to {MAX_CROP}"),
            ));
        }
        Ok(())
    }

    /// Height and width of what the training crops show, in pixels of the data set's images.
    #[must_use]
    pub fn window(&self) -> [usize; 2] {
        let scale = f64::from(self.net.input_scale);
        self.provenance.crop.map(|side| ((side as f64 / scale).round() as usize).max(1))
    }

    /// Number of classes C.
    #[must_use]
    pub fn num_classes(&self) -> usize {
        self.classes.len()
    }
}
