//! Vision transformers. timm's names are canonical; DINOv2's weights with register tokens have, as in timm, no position for the
//! class token: what its position added is part of the token.

use super::{Change, Dialect, Rule, joined, renamed};

/// The libraries' names.
pub fn dialects() -> Vec<Dialect> {
    let facebook = dinov2();
    let registers = registers("register_tokens", "cls_token", "pos_embed");
    let mut facebook_registers = registers;
    facebook_registers.extend(facebook.clone());
    vec![
        Dialect::same("timm"),
        Dialect::of("DINOv2", facebook),
        Dialect::of("DINOv2 with registers", facebook_registers),
        transformers(),
        transformers_registers(),
        openmmlab(),
        torchvision(),
    ]
}

/// Tokens and positions of weights with register tokens.
fn registers(tokens: &str, class: &str, positions: &str) -> Vec<Rule> {
    vec![
        Rule::new(tokens, "reg_token", Change::Whole),
        Rule::new(class, "cls_token", Change::Whole),
        Rule::new(positions, "cls_token", Change::AddFirstToken),
        Rule::new(positions, "pos_embed", Change::WithoutFirstToken),
    ]
}

/// The authors' names; the gated MLP (SwiGLU) has both its inner layers in one, as in timm.
fn dinov2() -> Vec<Rule> {
    renamed(&[
        ("blocks.{n}.mlp.w12.*", "blocks.{n}.mlp.fc1.*"),
        ("blocks.{n}.mlp.w3.*", "blocks.{n}.mlp.fc2.*"),
        ("*", "*"),
    ])
}

/// Where transformers' models keep what is common to all of them.
const TRANSFORMERS: &[&str] = &["vit.", "dinov2.", "dinov2_with_registers.", "deit."];

/// The names in transformers' files, and those that its models have had in memory since version 5.
fn transformers_layers() -> Vec<Rule> {
    let mut rules = renamed(&[
        ("embeddings.cls_token", "cls_token"),
        ("embeddings.position_embeddings", "pos_embed"),
        ("embeddings.patch_embeddings.projection.*", "patch_embed.proj.*"),
        ("layernorm.*", "norm.*"),
        ("classifier.*", "head.*"),
    ]);
    for at in ["encoder.layer.{n}", "layers.{n}"] {
        let block = |rows: &[(&str, &str)]| {
            let full =
                rows.iter().map(|(from, to)| (format!("{at}.{from}.*"), format!("blocks.{{n}}.{to}.*")));
            full.map(|(from, to)| Rule::new(from, to, Change::Whole)).collect::<Vec<_>>()
        };
        rules.extend(block(&[
            ("attention.output.dense", "attn.proj"),
            ("attention.o_proj", "attn.proj"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("norm1", "norm1"),
            ("norm2", "norm2"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
            ("mlp.fc1", "mlp.fc1"),
            ("mlp.fc2", "mlp.fc2"),
            ("mlp.weights_in", "mlp.fc1"),
            ("mlp.weights_out", "mlp.fc2"),
            ("mlp.down_proj", "mlp.fc2"),
        ]));
        for index in ["1", "2"] {
            let from = format!("{at}.layer_scale{index}.lambda1");
            rules.push(Rule::new(from, format!("blocks.{{n}}.ls{index}.gamma"), Change::Whole));
        }
        let inside = |parts: &[&str], to: &str| {
            let from: Vec<String> = parts.iter().map(|part| format!("{at}.{part}.*")).collect();
            joined(&from.iter().map(String::as_str).collect::<Vec<_>>(), to)
        };
        let qkv = "blocks.{n}.attn.qkv.*";
        rules.extend(inside(
            &["attention.attention.query", "attention.attention.key", "attention.attention.value"],
            qkv,
        ));
        rules.extend(inside(&["attention.q_proj", "attention.k_proj", "attention.v_proj"], qkv));
        rules.extend(inside(&["mlp.gate_proj", "mlp.up_proj"], "blocks.{n}.mlp.fc1.*"));
    }
    rules
}

fn transformers() -> Dialect {
    Dialect { inner: TRANSFORMERS, ..Dialect::of("transformers", transformers_layers()) }
}

fn transformers_registers() -> Dialect {
    let mut rules =
        registers("embeddings.register_tokens", "embeddings.cls_token", "embeddings.position_embeddings");
    rules.extend(transformers_layers());
    Dialect { inner: TRANSFORMERS, ..Dialect::of("transformers, with registers", rules) }
}

/// mmpretrain's names, and those of mmsegmentation where its attention is PyTorch's own.
fn openmmlab() -> Dialect {
    let rules = renamed(&[
        ("cls_token", "cls_token"),
        ("pos_embed", "pos_embed"),
        ("patch_embed.projection.*", "patch_embed.proj.*"),
        ("layers.{n}.ln1.*", "blocks.{n}.norm1.*"),
        ("layers.{n}.ln2.*", "blocks.{n}.norm2.*"),
        ("layers.{n}.attn.qkv.*", "blocks.{n}.attn.qkv.*"),
        ("layers.{n}.attn.proj.*", "blocks.{n}.attn.proj.*"),
        ("layers.{n}.attn.attn.in_proj_weight", "blocks.{n}.attn.qkv.weight"),
        ("layers.{n}.attn.attn.in_proj_bias", "blocks.{n}.attn.qkv.bias"),
        ("layers.{n}.attn.attn.out_proj.*", "blocks.{n}.attn.proj.*"),
        ("layers.{n}.attn.gamma1.weight", "blocks.{n}.ls1.gamma"),
        ("layers.{n}.ffn.gamma2.weight", "blocks.{n}.ls2.gamma"),
        ("layers.{n}.ffn.layers.0.0.*", "blocks.{n}.mlp.fc1.*"),
        ("layers.{n}.ffn.layers.1.*", "blocks.{n}.mlp.fc2.*"),
        ("ln1.*", "norm.*"),
        ("head.layers.head.*", "head.*"),
    ]);
    Dialect { inner: &["backbone."], ..Dialect::of("mmpretrain, mmsegmentation", rules) }
}

fn torchvision() -> Dialect {
    let mut rules = renamed(&[
        ("class_token", "cls_token"),
        ("conv_proj.*", "patch_embed.proj.*"),
        ("encoder.pos_embedding", "pos_embed"),
        ("encoder.ln.*", "norm.*"),
        ("heads.head.*", "head.*"),
    ]);
    for (from, to) in [
        ("ln_1.*", "norm1.*"),
        ("ln_2.*", "norm2.*"),
        ("self_attention.in_proj_weight", "attn.qkv.weight"),
        ("self_attention.in_proj_bias", "attn.qkv.bias"),
        ("self_attention.out_proj.*", "attn.proj.*"),
        ("mlp.0.*", "mlp.fc1.*"),
        ("mlp.3.*", "mlp.fc2.*"),
        ("mlp.linear_1.*", "mlp.fc1.*"),
        ("mlp.linear_2.*", "mlp.fc2.*"),
    ] {
        let from = format!("encoder.layers.encoder_layer_{{n}}.{from}");
        rules.push(Rule::new(from, format!("blocks.{{n}}.{to}"), Change::Whole));
    }
    Dialect::of("torchvision", rules)
}
