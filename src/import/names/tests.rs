//! Samples of the libraries' names, and what they are called here. The lists come from the libraries' own networks (versions in
//! docs/import.md), but for mmsegmentation, mmpretrain, NVIDIA's, Microsoft's and the method's authors' names, which come from their code.

use super::*;

const WHOLE: Change = Change::Whole;

fn join(part: usize, of: usize) -> Change {
    Change::Join { part, of }
}

fn slice(part: usize, of: usize) -> Change {
    Change::Slice { part, of }
}

/// Checks that the dialect of `source` takes each first name for the second.
fn check(family: Family, source: &str, samples: &[(&str, &str, Change)]) {
    let dialects = family.dialects();
    let dialect = dialects.iter().find(|dialect| dialect.source == source).expect(source);
    for (from, to, change) in samples {
        let found = dialect.rename(from);
        assert!(found.contains(&((*to).to_owned(), *change)), "{source}: {from} is {found:?}, not {to}");
    }
}

#[test]
fn every_dialect_of_a_family_has_a_name_of_its_own() {
    use Family::{Hrnet, Mit, MobilenetV2, Own, ProtoSeg, Resnet, Swin, Vit};
    for family in [Resnet, MobilenetV2, Hrnet, Vit, Swin, Mit, ProtoSeg, Own] {
        let sources: std::collections::BTreeSet<_> = family.dialects().iter().map(|d| d.source).collect();
        assert_eq!(sources.len(), family.dialects().len(), "{family:?}");
        // The first are the canonical names, which stay.
        assert_eq!(family.dialects()[0].rename("a.0.weight"), [("a.0.weight".to_owned(), WHOLE)]);
    }
}

#[test]
fn residual_networks() {
    check(
        Family::Resnet,
        "transformers",
        &[
            ("resnet.embedder.embedder.convolution.weight", "conv1.weight", WHOLE),
            ("embedder.embedder.normalization.running_var", "bn1.running_var", WHOLE),
            (
                "resnet.encoder.stages.1.layers.0.shortcut.convolution.weight",
                "layer2.0.downsample.0.weight",
                WHOLE,
            ),
            ("encoder.stages.3.layers.2.layer.1.normalization.bias", "layer4.2.bn2.bias", WHOLE),
            ("encoder.stages.0.layers.0.layer.2.convolution.weight", "layer1.0.conv3.weight", WHOLE),
            ("classifier.1.bias", "fc.bias", WHOLE),
        ],
    );
    check(
        Family::Resnet,
        "mmpretrain, mmsegmentation",
        &[
            ("backbone.layer1.0.conv1.weight", "layer1.0.conv1.weight", WHOLE),
            ("head.fc.weight", "fc.weight", WHOLE),
        ],
    );
}

#[test]
fn mobilenet_v2() {
    let family = Family::MobilenetV2;
    let noted = |dialect: &Dialect| dialect.note.is_some() == (dialect.source == "transformers");
    assert!(family.dialects().iter().all(noted));
    check(
        family,
        "timm",
        &[
            ("conv_stem.weight", "features.0.0.weight", WHOLE),
            ("blocks.0.0.conv_dw.weight", "features.1.conv.0.0.weight", WHOLE),
            ("blocks.0.0.bn2.bias", "features.1.conv.2.bias", WHOLE),
            ("blocks.1.1.conv_pwl.weight", "features.3.conv.2.weight", WHOLE),
            ("blocks.3.0.bn2.running_mean", "features.7.conv.1.1.running_mean", WHOLE),
            ("blocks.6.0.bn3.weight", "features.17.conv.3.weight", WHOLE),
            ("conv_head.weight", "features.18.0.weight", WHOLE),
            ("classifier.weight", "classifier.1.weight", WHOLE),
        ],
    );
    check(
        family,
        "transformers",
        &[
            ("mobilenet_v2.conv_stem.first_conv.normalization.weight", "features.0.1.weight", WHOLE),
            ("conv_stem.reduce_1x1.convolution.weight", "features.1.conv.1.weight", WHOLE),
            ("layer.0.expand_1x1.convolution.weight", "features.2.conv.0.0.weight", WHOLE),
            ("layer.15.reduce_1x1.normalization.bias", "features.17.conv.3.bias", WHOLE),
        ],
    );
    check(
        family,
        "mmsegmentation",
        &[
            ("layer1.0.conv.1.conv.weight", "features.1.conv.1.weight", WHOLE),
            ("layer2.1.conv.2.bn.bias", "features.3.conv.3.bias", WHOLE),
            ("backbone.conv2.bn.weight", "features.18.1.weight", WHOLE),
        ],
    );
    check(
        family,
        "mmpretrain",
        &[
            ("backbone.layer1.0.depthwise_conv.bn.bias", "features.1.conv.0.1.bias", WHOLE),
            ("backbone.layer7.0.expand_conv.conv.weight", "features.17.conv.0.0.weight", WHOLE),
        ],
    );
}

#[test]
fn vision_transformers() {
    let family = Family::Vit;
    let qkv = "blocks.11.attn.qkv.weight";
    check(
        family,
        "transformers",
        &[
            ("vit.embeddings.position_embeddings", "pos_embed", WHOLE),
            ("embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias", WHOLE),
            ("vit.encoder.layer.11.attention.attention.query.weight", qkv, join(0, 3)),
            ("encoder.layer.11.attention.attention.value.weight", qkv, join(2, 3)),
            ("vit.layers.11.attention.k_proj.weight", qkv, join(1, 3)),
            ("encoder.layer.2.layernorm_after.weight", "blocks.2.norm2.weight", WHOLE),
            ("encoder.layer.2.output.dense.bias", "blocks.2.mlp.fc2.bias", WHOLE),
            ("encoder.layer.2.attention.output.dense.bias", "blocks.2.attn.proj.bias", WHOLE),
            ("dinov2.encoder.layer.2.layer_scale2.lambda1", "blocks.2.ls2.gamma", WHOLE),
            ("encoder.layer.2.mlp.weights_in.bias", "blocks.2.mlp.fc1.bias", WHOLE),
            ("encoder.layer.2.mlp.up_proj.bias", "blocks.2.mlp.fc1.bias", join(1, 2)),
        ],
    );
    check(
        family,
        "transformers, with registers",
        &[
            ("embeddings.register_tokens", "reg_token", WHOLE),
            ("embeddings.position_embeddings", "cls_token", Change::AddFirstToken),
            ("embeddings.position_embeddings", "pos_embed", Change::WithoutFirstToken),
            ("encoder.layer.0.norm1.bias", "blocks.0.norm1.bias", WHOLE),
        ],
    );
    check(
        family,
        "DINOv2 with registers",
        &[
            ("register_tokens", "reg_token", WHOLE),
            ("pos_embed", "pos_embed", Change::WithoutFirstToken),
            ("cls_token", "cls_token", WHOLE),
            ("blocks.0.mlp.w12.weight", "blocks.0.mlp.fc1.weight", WHOLE),
            ("blocks.0.ls1.gamma", "blocks.0.ls1.gamma", WHOLE),
        ],
    );
    check(
        family,
        "mmpretrain, mmsegmentation",
        &[
            ("backbone.layers.3.ln1.weight", "blocks.3.norm1.weight", WHOLE),
            ("layers.3.attn.attn.in_proj_weight", "blocks.3.attn.qkv.weight", WHOLE),
            ("backbone.layers.3.attn.qkv.bias", "blocks.3.attn.qkv.bias", WHOLE),
            ("layers.3.ffn.layers.0.0.weight", "blocks.3.mlp.fc1.weight", WHOLE),
            ("backbone.ln1.bias", "norm.bias", WHOLE),
        ],
    );
    check(
        family,
        "torchvision",
        &[
            ("class_token", "cls_token", WHOLE),
            ("encoder.layers.encoder_layer_11.self_attention.in_proj_bias", "blocks.11.attn.qkv.bias", WHOLE),
            ("encoder.layers.encoder_layer_0.mlp.3.weight", "blocks.0.mlp.fc2.weight", WHOLE),
            ("encoder.layers.encoder_layer_0.mlp.linear_1.weight", "blocks.0.mlp.fc1.weight", WHOLE),
        ],
    );
}

#[test]
fn swin_transformers() {
    let family = Family::Swin;
    let table = "layers.2.blocks.5.attn.relative_position_bias_table";
    let reduction = "layers.1.downsample.reduction.weight";
    check(
        family,
        "Microsoft's Swin, older timm",
        &[
            ("layers.0.downsample.reduction.weight", reduction, WHOLE),
            ("layers.2.blocks.5.attn.relative_position_bias_table", table, WHOLE),
            ("norm3.bias", "norm3.bias", WHOLE),
        ],
    );
    check(
        family,
        "torchvision",
        &[
            ("features.5.5.attn.relative_position_bias_table", table, WHOLE),
            ("features.2.reduction.weight", reduction, WHOLE),
            ("features.0.2.weight", "patch_embed.norm.weight", WHOLE),
            ("features.7.1.mlp.3.bias", "layers.3.blocks.1.mlp.fc2.bias", WHOLE),
        ],
    );
    check(
        family,
        "transformers",
        &[
            ("swin.encoder.layers.2.blocks.5.attention.self.relative_position_bias_table", table, WHOLE),
            (
                "encoder.layers.0.blocks.1.attention.self.key.bias",
                "layers.0.blocks.1.attn.qkv.bias",
                join(1, 3),
            ),
            (
                "swin.encoder.layers.0.blocks.1.attention.q_proj.bias",
                "layers.0.blocks.1.attn.qkv.bias",
                join(0, 3),
            ),
            ("encoder.layers.0.downsample.reduction.weight", reduction, WHOLE),
            ("hidden_states_norms.stage4.weight", "norm3.weight", WHOLE),
            ("swin.layernorm.weight", "norm.weight", WHOLE),
        ],
    );
    check(
        family,
        "mmsegmentation, mmpretrain",
        &[
            ("backbone.stages.2.blocks.5.attn.w_msa.relative_position_bias_table", table, WHOLE),
            ("stages.0.downsample.reduction.weight", reduction, Change::MergeOrder),
            ("backbone.stages.0.downsample.norm.bias", "layers.1.downsample.norm.bias", Change::MergeOrder),
            ("stages.3.blocks.0.ffn.layers.0.0.bias", "layers.3.blocks.0.mlp.fc1.bias", WHOLE),
            ("backbone.norm0.weight", "norm0.weight", WHOLE),
        ],
    );
}

#[test]
fn mix_transformers() {
    let family = Family::Mit;
    let key = "encoder.block.1.0.attention.self.key.weight";
    check(
        family,
        "NVIDIA's SegFormer",
        &[
            ("block2.0.attn.kv.weight", key, slice(0, 2)),
            ("block2.0.attn.kv.bias", "encoder.block.1.0.attention.self.value.bias", slice(1, 2)),
            ("block1.1.attn.sr.weight", "encoder.block.0.1.attention.self.sr.weight", WHOLE),
            ("patch_embed4.norm.bias", "encoder.patch_embeddings.3.layer_norm.bias", WHOLE),
            ("block1.1.mlp.dwconv.dwconv.bias", "encoder.block.0.1.mlp.dwconv.dwconv.bias", WHOLE),
            ("norm1.weight", "encoder.layer_norm.0.weight", WHOLE),
        ],
    );
    check(
        family,
        "mmsegmentation",
        &[
            ("layers.1.1.0.attn.attn.in_proj_weight", key, slice(1, 3)),
            ("layers.0.0.projection.weight", "encoder.patch_embeddings.0.proj.weight", WHOLE),
            ("layers.0.1.1.ffn.layers.4.weight", "encoder.block.0.1.mlp.dense2.weight", WHOLE),
            ("layers.0.2.weight", "encoder.layer_norm.0.weight", WHOLE),
        ],
    );
    check(
        family,
        "transformers 5, in memory",
        &[
            ("segformer.stages.1.blocks.0.attention.k_proj.weight", key, WHOLE),
            (
                "stages.0.blocks.1.attention.sequence_reduction.layer_norm.bias",
                "encoder.block.0.1.attention.self.layer_norm.bias",
                WHOLE,
            ),
            ("stages.0.layer_norm.bias", "encoder.layer_norm.0.bias", WHOLE),
        ],
    );
}

#[test]
fn the_authors_model() {
    for (source, part) in [("ProtoSeg (proj_head.proj)", "proj"), ("ProtoSeg (proj_head.mlp2)", "mlp2")] {
        let (first, second) = (format!("proj_head.{part}.0.weight"), format!("proj_head.{part}.2.bias"));
        check(
            Family::ProtoSeg,
            source,
            &[
                ("backbone.conv1.weight", "conv1.weight", Change::ReverseInputs),
                ("backbone.stage2.0.branches.0.0.conv1.weight", "stage2.0.branches.0.0.conv1.weight", WHOLE),
                ("cls_head.0.bias", "head.cls_head.0.bias", WHOLE),
                ("cls_head.1.0.running_mean", "head.cls_head.1.0.running_mean", WHOLE),
                ("cls_head.1.running_mean", "head.cls_head.1.0.running_mean", WHOLE),
                (&first, "head.proj.0.weight", WHOLE),
                (&second, "head.proj.2.bias", WHOLE),
                ("feat_norm.weight", "head.feat_norm.weight", WHOLE),
                ("prototypes", "prototypes", WHOLE),
            ],
        );
    }
}
