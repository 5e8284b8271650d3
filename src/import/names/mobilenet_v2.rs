//! MobileNetV2. torchvision counts all blocks in a row (`features.1` to `features.17`), the others by stages.

use super::{Change, Dialect, Rule, renamed};

/// Blocks of the stages.
const BLOCKS: [usize; 7] = [1, 2, 3, 4, 3, 3, 1];

/// The libraries' names.
pub fn dialects() -> Vec<Dialect> {
    vec![Dialect::same("torchvision"), timm(), mmpretrain(), mmsegmentation(), transformers()]
}

/// Stage, number in it and torchvision's number of every block.
fn blocks() -> impl Iterator<Item = (usize, usize, usize)> {
    let places =
        BLOCKS.iter().enumerate().flat_map(|(stage, &count)| (0..count).map(move |block| (stage, block)));
    places.enumerate().map(|(index, (stage, block))| (stage, block, index + 1))
}

/// torchvision's names of a block's convolutions and norms, in the order in which they are applied; the first block does not
/// expand.
fn parts(feature: usize) -> Vec<[String; 2]> {
    let within = |parts: [&str; 2]| parts.map(|part| format!("features.{feature}.conv.{part}.*"));
    if feature == 1 {
        vec![within(["0.0", "0.1"]), within(["1", "2"])]
    } else {
        vec![within(["0.0", "0.1"]), within(["1.0", "1.1"]), within(["2", "3"])]
    }
}

/// Rules for every block, from what `names` calls convolution and norm of its parts (expand, depthwise, project; the first
/// block has the last two).
fn block_rules(names: impl Fn(usize, usize, usize) -> Vec<[String; 2]>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (stage, block, feature) in blocks() {
        for (from, to) in std::iter::zip(names(stage, block, feature), parts(feature)) {
            rules.extend(std::iter::zip(from, to).map(|(from, to)| Rule::new(from, to, Change::Whole)));
        }
    }
    rules
}

fn timm() -> Dialect {
    let mut rules = renamed(&[
        ("conv_stem.*", "features.0.0.*"),
        ("bn1.*", "features.0.1.*"),
        ("conv_head.*", "features.18.0.*"),
        ("bn2.*", "features.18.1.*"),
        ("classifier.*", "classifier.1.*"),
    ]);
    rules.extend(block_rules(|stage, block, feature| {
        let convolutions: &[&str] =
            if feature == 1 { &["conv_dw", "conv_pw"] } else { &["conv_pw", "conv_dw", "conv_pwl"] };
        let names = convolutions.iter().enumerate();
        names
            .map(|(index, conv)| {
                let at = format!("blocks.{stage}.{block}");
                [format!("{at}.{conv}.*"), format!("{at}.bn{}.*", index + 1)]
            })
            .collect()
    }));
    Dialect::of("timm", rules)
}

/// The stem, the last convolution and the classifier of mmpretrain and mmsegmentation.
fn openmmlab() -> Vec<Rule> {
    renamed(&[
        ("conv1.conv.*", "features.0.0.*"),
        ("conv1.bn.*", "features.0.1.*"),
        ("conv2.conv.*", "features.18.0.*"),
        ("conv2.bn.*", "features.18.1.*"),
        ("head.fc.*", "classifier.1.*"),
    ])
}

fn mmpretrain() -> Dialect {
    let mut rules = openmmlab();
    rules.extend(block_rules(|stage, block, feature| {
        let all = ["expand_conv", "depthwise_conv", "linear_conv"];
        let parts = if feature == 1 { &all[1..] } else { &all[..] };
        parts.iter().map(|part| convolution(&format!("layer{}.{block}.{part}", stage + 1))).collect()
    }));
    Dialect { inner: &["backbone."], ..Dialect::of("mmpretrain", rules) }
}

fn mmsegmentation() -> Dialect {
    let mut rules = openmmlab();
    rules.extend(block_rules(|stage, block, feature| {
        let parts = if feature == 1 { 2 } else { 3 };
        (0..parts).map(|part| convolution(&format!("layer{}.{block}.conv.{part}", stage + 1))).collect()
    }));
    Dialect { inner: &["backbone."], ..Dialect::of("mmsegmentation", rules) }
}

fn convolution(at: &str) -> [String; 2] {
    [format!("{at}.conv.*"), format!("{at}.bn.*")]
}

fn transformers() -> Dialect {
    let mut rules = renamed(&[
        ("conv_stem.first_conv.convolution.*", "features.0.0.*"),
        ("conv_stem.first_conv.normalization.*", "features.0.1.*"),
        ("conv_1x1.convolution.*", "features.18.0.*"),
        ("conv_1x1.normalization.*", "features.18.1.*"),
        ("classifier.*", "classifier.1.*"),
    ]);
    rules.extend(block_rules(|_, _, feature| {
        let all = ["expand_1x1", "conv_3x3", "reduce_1x1"];
        let (at, parts) = match feature.checked_sub(2) {
            None => ("conv_stem".to_owned(), &all[1..]),
            Some(layer) => (format!("layer.{layer}"), &all[..]),
        };
        parts
            .iter()
            .map(|part| [format!("{at}.{part}.convolution.*"), format!("{at}.{part}.normalization.*")])
            .collect()
    }));
    let note = "these weights were trained with TensorFlow's padding and an epsilon of 1e-3 in the norms, which this network has \
                not: its maps differ from theirs until it is trained";
    Dialect { inner: &["mobilenet_v2."], note: Some(note), ..Dialect::of("transformers", rules) }
}
