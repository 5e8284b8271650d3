//! The Mix Transformer of SegFormer. The names in transformers' files are canonical.

use super::{Change, Dialect, Rule, renamed, split};

/// The libraries' names.
pub fn dialects() -> Vec<Dialect> {
    vec![Dialect::same("transformers"), transformers_in_memory(), official(), mmsegmentation()]
}

/// Rules for what a block has, from names below `at`.
fn block(at: &str, rows: &[(&str, &str)]) -> Vec<Rule> {
    let rule = |&(from, to): &(&str, &str)| {
        Rule::new(format!("{at}.{from}.*"), format!("encoder.block.{{s}}.{{n}}.{to}.*"), Change::Whole)
    };
    rows.iter().map(rule).collect()
}

/// The names that transformers' models have had in memory since version 5.
fn transformers_in_memory() -> Dialect {
    let mut rules = renamed(&[
        ("stages.{s}.patch_embeddings.proj.*", "encoder.patch_embeddings.{s}.proj.*"),
        ("stages.{s}.patch_embeddings.layer_norm.*", "encoder.patch_embeddings.{s}.layer_norm.*"),
        ("stages.{s}.layer_norm.*", "encoder.layer_norm.{s}.*"),
    ]);
    rules.extend(block(
        "stages.{s}.blocks.{n}",
        &[
            ("layernorm_before", "layer_norm_1"),
            ("layernorm_after", "layer_norm_2"),
            ("attention.q_proj", "attention.self.query"),
            ("attention.k_proj", "attention.self.key"),
            ("attention.v_proj", "attention.self.value"),
            ("attention.o_proj", "attention.output.dense"),
            ("attention.sequence_reduction.sequence_reduction", "attention.self.sr"),
            ("attention.sequence_reduction.layer_norm", "attention.self.layer_norm"),
            ("mlp.fc1", "mlp.dense1"),
            ("mlp.dwconv.dwconv", "mlp.dwconv.dwconv"),
            ("mlp.fc2", "mlp.dense2"),
        ],
    ));
    Dialect { inner: &["segformer."], ..Dialect::of("transformers 5, in memory", rules) }
}

/// NVIDIA's names: stages are counted from 1, keys and values are one tensor.
fn official() -> Dialect {
    let mut rules = Vec::new();
    for stage in 0..4 {
        let own = stage + 1;
        for (from, to) in [
            (format!("patch_embed{own}.proj.*"), format!("encoder.patch_embeddings.{stage}.proj.*")),
            (format!("patch_embed{own}.norm.*"), format!("encoder.patch_embeddings.{stage}.layer_norm.*")),
            (format!("norm{own}.*"), format!("encoder.layer_norm.{stage}.*")),
        ] {
            rules.push(Rule::new(from, to, Change::Whole));
        }
        let (at, to) = (format!("block{own}.{{n}}"), format!("encoder.block.{stage}.{{n}}"));
        for (from, canonical) in [
            ("norm1", "layer_norm_1"),
            ("norm2", "layer_norm_2"),
            ("attn.q", "attention.self.query"),
            ("attn.proj", "attention.output.dense"),
            ("attn.sr", "attention.self.sr"),
            ("attn.norm", "attention.self.layer_norm"),
            ("mlp.fc1", "mlp.dense1"),
            ("mlp.dwconv.dwconv", "mlp.dwconv.dwconv"),
            ("mlp.fc2", "mlp.dense2"),
        ] {
            rules.push(Rule::new(format!("{at}.{from}.*"), format!("{to}.{canonical}.*"), Change::Whole));
        }
        let parts = ["key", "value"].map(|part| format!("{to}.attention.self.{part}.*"));
        rules.extend(split(&format!("{at}.attn.kv.*"), &parts.each_ref().map(String::as_str)));
    }
    Dialect::of("NVIDIA's SegFormer", rules)
}

/// mmsegmentation's names: a stage is a list of embedding, blocks and norm; the MLP's layers are 1x1 convolutions.
fn mmsegmentation() -> Dialect {
    let mut rules = renamed(&[
        ("layers.{s}.0.projection.*", "encoder.patch_embeddings.{s}.proj.*"),
        ("layers.{s}.0.proj.*", "encoder.patch_embeddings.{s}.proj.*"),
        ("layers.{s}.0.norm.*", "encoder.patch_embeddings.{s}.layer_norm.*"),
        ("layers.{s}.2.*", "encoder.layer_norm.{s}.*"),
    ]);
    rules.extend(block(
        "layers.{s}.1.{n}",
        &[
            ("norm1", "layer_norm_1"),
            ("norm2", "layer_norm_2"),
            ("attn.attn.out_proj", "attention.output.dense"),
            ("attn.sr", "attention.self.sr"),
            ("attn.norm", "attention.self.layer_norm"),
            ("ffn.layers.0", "mlp.dense1"),
            ("ffn.layers.1", "mlp.dwconv.dwconv"),
            ("ffn.layers.4", "mlp.dense2"),
        ],
    ));
    for kind in ["weight", "bias"] {
        let parts = ["query", "key", "value"]
            .map(|part| format!("encoder.block.{{s}}.{{n}}.attention.self.{part}.{kind}"));
        let from = format!("layers.{{s}}.1.{{n}}.attn.attn.in_proj_{kind}");
        rules.extend(split(&from, &parts.each_ref().map(String::as_str)));
    }
    Dialect::of("mmsegmentation", rules)
}
