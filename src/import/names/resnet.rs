//! Residual networks. torchvision, timm and the backbones of mmsegmentation and mmpretrain share their names.

use super::{Dialect, renamed};

/// The libraries' names.
pub fn dialects() -> Vec<Dialect> {
    vec![Dialect::same("torchvision, timm"), mmpretrain(), transformers()]
}

fn mmpretrain() -> Dialect {
    let rules = renamed(&[("head.fc.*", "fc.*"), ("*", "*")]);
    Dialect { inner: &["backbone."], ..Dialect::of("mmpretrain, mmsegmentation", rules) }
}

fn transformers() -> Dialect {
    let rules = renamed(&[
        ("embedder.embedder.convolution.*", "conv1.*"),
        ("embedder.embedder.normalization.*", "bn1.*"),
        ("encoder.stages.{s}.layers.{n}.shortcut.convolution.*", "layer{s+1}.{n}.downsample.0.*"),
        ("encoder.stages.{s}.layers.{n}.shortcut.normalization.*", "layer{s+1}.{n}.downsample.1.*"),
        ("encoder.stages.{s}.layers.{n}.layer.{c}.convolution.*", "layer{s+1}.{n}.conv{c+1}.*"),
        ("encoder.stages.{s}.layers.{n}.layer.{c}.normalization.*", "layer{s+1}.{n}.bn{c+1}.*"),
        ("classifier.1.*", "fc.*"),
    ]);
    Dialect { inner: &["resnet."], ..Dialect::of("transformers", rules) }
}
