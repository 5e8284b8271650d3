//! Swin transformers. timm's current names are canonical: the patch merging stands at the start of stages 1 to 3.

use super::{Change, Dialect, Rule, joined, renamed};

/// The libraries' names.
pub fn dialects() -> Vec<Dialect> {
    vec![Dialect::same("timm"), official(), torchvision(), transformers(), openmmlab()]
}

/// Microsoft's names, which timm had before version 0.9: the patch merging stands at the end of stages 0 to 2.
fn official() -> Dialect {
    let rules = renamed(&[
        ("layers.{s}.downsample.*", "layers.{s+1}.downsample.*"),
        ("head.weight", "head.fc.weight"),
        ("head.bias", "head.fc.bias"),
        ("*", "*"),
    ]);
    Dialect::of("Microsoft's Swin, older timm", rules)
}

/// torchvision counts stages and patch mergings in a row.
fn torchvision() -> Dialect {
    let mut rules = renamed(&[
        ("features.0.0.*", "patch_embed.proj.*"),
        ("features.0.2.*", "patch_embed.norm.*"),
        ("norm.*", "norm.*"),
        ("head.*", "head.fc.*"),
    ]);
    for stage in 0..4 {
        let at = 2 * stage + 1;
        for (from, to) in [
            ("norm1", "norm1"),
            ("norm2", "norm2"),
            ("attn", "attn"),
            ("mlp.0", "mlp.fc1"),
            ("mlp.3", "mlp.fc2"),
        ] {
            let to = format!("layers.{stage}.blocks.{{n}}.{to}.*");
            rules.push(Rule::new(format!("features.{at}.{{n}}.{from}.*"), to, Change::Whole));
        }
        let (from, to) = (format!("features.{}.*", at + 1), format!("layers.{}.downsample.*", stage + 1));
        rules.push(Rule::new(from, to, Change::Whole));
    }
    Dialect::of("torchvision", rules)
}

/// The names in transformers' files, and those that its models have had in memory since version 5.
fn transformers() -> Dialect {
    let mut rules = renamed(&[
        ("embeddings.patch_embeddings.projection.*", "patch_embed.proj.*"),
        ("embeddings.norm.*", "patch_embed.norm.*"),
        ("encoder.layers.{s}.downsample.*", "layers.{s+1}.downsample.*"),
        ("layernorm.*", "norm.*"),
        ("hidden_states_norms.stage{s}.*", "norm{s-1}.*"),
        ("classifier.*", "head.fc.*"),
    ]);
    let (from, to) = ("encoder.layers.{s}.blocks.{n}", "layers.{s}.blocks.{n}");
    for (own, canonical) in [
        ("layernorm_before.*", "norm1.*"),
        ("layernorm_after.*", "norm2.*"),
        ("attention.self.relative_position_bias_table", "attn.relative_position_bias_table"),
        (
            "attention.relative_position_bias.relative_position_bias_table",
            "attn.relative_position_bias_table",
        ),
        ("attention.output.dense.*", "attn.proj.*"),
        ("attention.o_proj.*", "attn.proj.*"),
        ("intermediate.dense.*", "mlp.fc1.*"),
        ("output.dense.*", "mlp.fc2.*"),
        ("mlp.fc1.*", "mlp.fc1.*"),
        ("mlp.fc2.*", "mlp.fc2.*"),
    ] {
        rules.push(Rule::new(format!("{from}.{own}"), format!("{to}.{canonical}"), Change::Whole));
    }
    for parts in [["self.query", "self.key", "self.value"], ["q_proj", "k_proj", "v_proj"]] {
        let parts = parts.map(|part| format!("{from}.attention.{part}.*"));
        rules.extend(joined(&parts.each_ref().map(String::as_str), &format!("{to}.attn.qkv.*")));
    }
    Dialect { inner: &["swin."], ..Dialect::of("transformers", rules) }
}

/// mmsegmentation and mmpretrain take the four neighbours of a patch merging from `nn.Unfold`, channel by channel.
fn openmmlab() -> Dialect {
    let mut rules = vec![
        Rule::new(
            "stages.{s}.downsample.reduction.weight",
            "layers.{s+1}.downsample.reduction.weight",
            Change::MergeOrder,
        ),
        Rule::new("stages.{s}.downsample.norm.*", "layers.{s+1}.downsample.norm.*", Change::MergeOrder),
    ];
    rules.extend(renamed(&[
        ("patch_embed.projection.*", "patch_embed.proj.*"),
        ("patch_embed.norm.*", "patch_embed.norm.*"),
        ("stages.{s}.blocks.{n}.attn.w_msa.*", "layers.{s}.blocks.{n}.attn.*"),
        ("stages.{s}.blocks.{n}.norm1.*", "layers.{s}.blocks.{n}.norm1.*"),
        ("stages.{s}.blocks.{n}.norm2.*", "layers.{s}.blocks.{n}.norm2.*"),
        ("stages.{s}.blocks.{n}.ffn.layers.0.0.*", "layers.{s}.blocks.{n}.mlp.fc1.*"),
        ("stages.{s}.blocks.{n}.ffn.layers.1.*", "layers.{s}.blocks.{n}.mlp.fc2.*"),
        ("norm{s}.*", "norm{s}.*"),
        ("head.fc.*", "head.fc.*"),
    ]));
    Dialect { inner: &["backbone."], ..Dialect::of("mmsegmentation, mmpretrain", rules) }
}
