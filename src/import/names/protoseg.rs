//! The checkpoints of the method's authors (openseg's `HRNet_W48_Proto`), whole: backbone, the convolution behind it, projection,
//! norms, prototypes. They were trained on blue, green, red (quirk Q16).

use super::{Change, Dialect, Rule, renamed};

/// The authors' names. The projection is registered under two (quirk Q21); either will do. Whether a ReLU is part of the norm of
/// `cls_head` depends on the library of norms that they ran with.
pub fn dialects() -> Vec<Dialect> {
    let head = [
        ("cls_head.0.*", "head.cls_head.0.*"),
        ("cls_head.1.0.*", "head.cls_head.1.0.*"),
        ("cls_head.1.*", "head.cls_head.1.0.*"),
        ("feat_norm.*", "head.feat_norm.*"),
        ("mask_norm.*", "head.mask_norm.*"),
        ("prototypes", "prototypes"),
        ("backbone.*", "*"),
    ];
    let spelling = |source, from: [&str; 2]| {
        let mut rules = renamed(&[(from[0], "head.proj.0.*"), (from[1], "head.proj.2.*")]);
        rules.push(Rule::new("backbone.conv1.weight", "conv1.weight", Change::ReverseInputs));
        rules.extend(renamed(&head));
        Dialect::of(source, rules)
    };
    vec![
        Dialect::same("protoseg"),
        spelling("ProtoSeg (proj_head.proj)", ["proj_head.proj.0.*", "proj_head.proj.2.*"]),
        spelling("ProtoSeg (proj_head.mlp2)", ["proj_head.mlp2.0.*", "proj_head.mlp2.2.*"]),
    ]
}
