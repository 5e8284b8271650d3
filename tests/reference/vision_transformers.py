"""Reference maps and gradients of the transformer backbones, of PyTorch in double precision.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install torch timm transformers safetensors
    /tmp/venv/bin/python tests/reference/vision_transformers.py OUT [ARCH ...]
    protoseg verify --weights OUT/mit_b0.weights.safetensors --arch mit_b0 OUT/mit_b0.maps.safetensors
    PROTOSEG_REFERENCE=OUT cargo test --release --test backbones -- --ignored

ViTs are timm's, Swin transformers and SegFormer's encoders those of Hugging Face, with random weights under the names that
protoseg has for them. Three things are not theirs: timm smooths position embeddings when it resamples them (antialias), here
F.interpolate does it without; images are padded with zeros to whole patches; weights of norms are random too, so that a
missing one shows.
"""

import pathlib
import sys

import timm
import torch
import transformers
from safetensors.torch import save_file
from torch.nn import functional

SWIN = {
    "swin_tiny_patch4_window7_224": (96, [2, 2, 6, 2], 7),
    "swin_small_patch4_window7_224": (96, [2, 2, 18, 2], 7),
    "swin_base_patch4_window7_224": (128, [2, 2, 18, 2], 7),
    "swin_base_patch4_window12_384": (128, [2, 2, 18, 2], 12),
}
MIT = {
    "mit_b0": ([32, 64, 160, 256], [2, 2, 2, 2]),
    "mit_b1": ([64, 128, 320, 512], [2, 2, 2, 2]),
    "mit_b2": ([64, 128, 320, 512], [3, 4, 6, 3]),
    "mit_b3": ([64, 128, 320, 512], [3, 4, 18, 3]),
    "mit_b4": ([64, 128, 320, 512], [3, 8, 27, 3]),
    "mit_b5": ([64, 128, 320, 512], [3, 6, 40, 3]),
}
VIT = [
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_small_patch14_dinov2",
    "vit_base_patch14_dinov2",
    "vit_small_patch14_reg4_dinov2",
    "vit_base_patch14_reg4_dinov2",
]


class Vit:
    def __init__(self, name):
        self.net = timm.create_model(name, num_classes=0)

    def maps(self, image):
        net = self.net
        side = net.patch_embed.patch_size[0]
        height, width = image.shape[2:]
        image = functional.pad(image, (0, -width % side, 0, -height % side))
        x = net.patch_embed.proj(image)
        shape = x.shape
        x = x.flatten(2).transpose(1, 2)
        extra, placed = net.num_prefix_tokens, 0 if net.no_embed_class else net.num_prefix_tokens
        pos, grid = net.pos_embed[0], net.patch_embed.grid_size
        places = pos[placed:].T.reshape(1, -1, *grid)
        places = functional.interpolate(places, size=shape[2:], mode="bicubic", align_corners=False)
        pos = torch.cat([pos[:placed], places[0].flatten(1).T])
        front = [net.cls_token] + ([net.reg_token] if net.reg_token is not None else [])
        front = torch.cat(front, 1)[0]
        front = torch.cat([front[:placed] + pos[:placed], front[placed:]])
        x = torch.cat([front.expand(len(x), -1, -1), x + pos[placed:]], 1)
        found, depth = {}, len(net.blocks)
        for number, block in enumerate(net.blocks, 1):
            x = block(x)
            if number % (depth // 4) == 0:
                level = net.norm(x) if number == depth else x
                name = f"stride{side}" if number == depth else f"block{number}"
                found[name] = level[:, extra:].transpose(1, 2).reshape(shape)
        return found

    def rename(self, tensors):
        return dict(tensors)


class Swin:
    def __init__(self, name):
        width, depths, window = SWIN[name]
        config = transformers.SwinConfig(
            embed_dim=width, depths=depths, num_heads=[width * 2**i // 32 for i in range(4)], window_size=window,
            drop_path_rate=0.0, out_features=[f"stage{i}" for i in (1, 2, 3, 4)],
        )
        self.net = transformers.SwinBackbone(config)

    def maps(self, image):
        found = self.net(image).feature_maps
        return {f"stride{4 << i}": x for i, x in enumerate(found)}

    def rename(self, tensors):
        tensors = dict(tensors)
        out = {}
        for name, x in tensors.items():
            if "relative_position_index" in name:
                continue
            if ".self.query." in name or ".attention.q_proj." in name:
                others = [name.replace("query", part).replace("q_proj", other) for part, other in
                          (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))]
                x = torch.cat([tensors[other] for other in others])
                name = name.replace(".attention.self.query", ".attn.qkv").replace(".attention.q_proj", ".attn.qkv")
            elif any(part in name for part in (".self.key.", ".self.value.", ".k_proj.", ".v_proj.")):
                continue
            for old, new in SWIN_NAMES:
                name = name.replace(old, new)
            if "downsample" in name:
                stage = int(name.split(".")[1])
                name = name.replace(f"layers.{stage}.", f"layers.{stage + 1}.")
            if name.startswith("hidden_states_norms.stage"):
                stage = int(name.split(".")[1].removeprefix("stage")) - 1
                name = f"norm{stage}." + name.split(".")[2]
            out[name] = x
        return out


SWIN_NAMES = [
    ("swin.", ""), ("embeddings.patch_embeddings.projection", "patch_embed.proj"), ("embeddings.norm", "patch_embed.norm"),
    ("encoder.layers", "layers"), ("attention.self.relative_position_bias_table", "attn.relative_position_bias_table"),
    ("attention.relative_position_bias.relative_position_bias_table", "attn.relative_position_bias_table"),
    ("attention.relative_position_bias_table", "attn.relative_position_bias_table"),
    ("attention.output.dense", "attn.proj"), ("attention.o_proj", "attn.proj"),
    ("layernorm_before", "norm1"), ("layernorm_after", "norm2"),
    ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"),
]


class Mit:
    def __init__(self, name):
        widths, depths = MIT[name]
        config = transformers.SegformerConfig(hidden_sizes=widths, depths=depths, drop_path_rate=0.0,
                                              hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        self.net = transformers.SegformerModel(config)

    def maps(self, image):
        found = self.net(image, output_hidden_states=True).hidden_states
        return {f"stride{4 << i}": x for i, x in enumerate(found[-4:])}

    def rename(self, tensors):
        out = {}
        for name, x in tensors:
            for old, new in MIT_NAMES:
                name = name.replace(old, new)
            parts = name.split(".")
            if parts[0] == "stages":
                stage, rest = parts[1], ".".join(parts[2:])
                if rest.startswith("patch_embeddings"):
                    name = f"encoder.patch_embeddings.{stage}" + rest.removeprefix("patch_embeddings")
                elif rest.startswith("blocks."):
                    name = f"encoder.block.{stage}." + rest.removeprefix("blocks.")
                else:
                    name = f"encoder.layer_norm.{stage}." + rest.split(".")[-1]
            out[name] = x
        return out


MIT_NAMES = [
    ("layernorm_before", "layer_norm_1"), ("layernorm_after", "layer_norm_2"),
    ("attention.q_proj", "attention.self.query"), ("attention.k_proj", "attention.self.key"),
    ("attention.v_proj", "attention.self.value"), ("attention.o_proj", "attention.output.dense"),
    ("attention.sequence_reduction.sequence_reduction", "attention.self.sr"),
    ("attention.sequence_reduction.layer_norm", "attention.self.layer_norm"),
    ("mlp.fc1", "mlp.dense1"), ("mlp.fc2", "mlp.dense2"),
]


def network(name):
    torch.manual_seed(0)
    made = (Vit if name in VIT else Swin if name in SWIN else Mit)(name)
    net = made.net.eval()
    with torch.no_grad():
        for key, x in net.named_parameters():
            if x.dim() == 1 and key.endswith("weight") or key.endswith("gamma"):
                x.uniform_(0.5, 1.5)
            elif x.dim() == 1:
                x.uniform_(-0.1, 0.1)
            elif x.dim() > 1:
                # Wider than new weights are, so that attention is not even.
                x.normal_(0.0, min(1.0, 2.0 / x[0].numel() ** 0.5))
    net.double()
    for x in net.parameters():
        x.data = x.data.float().double()
    return made


def save(path, tensors):
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()}, path)
    print(path.name)


def main(out, names):
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        made = network(name)
        save(out / f"{name}.weights.safetensors", made.rename(made.net.state_dict().items()))
        image = torch.randn(1, 3, 197, 291).float().double()
        with torch.no_grad():
            save(out / f"{name}.maps.safetensors", {"input": image, **made.maps(image)})
        x = torch.randn(2, 3, 67, 109).float().double()
        found = made.maps(x)
        seeds = {k: torch.randn_like(v).float().double() for k, v in found.items()}
        sum((found[k] * seeds[k]).sum() for k in found).backward()
        params = [(k, p.grad) for k, p in made.net.named_parameters() if p.grad is not None]
        grads = {f"grad.{k}": x for k, x in made.rename(params).items()}
        seeds = {f"seed.{i}": v for i, v in enumerate(seeds.values())}
        save(out / f"{name}.gradients.safetensors", {"input": x, **seeds, **grads})


if __name__ == "__main__":
    chosen = sys.argv[2:] or ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2", "swin_tiny_patch4_window7_224", "mit_b0"]
    main(pathlib.Path(sys.argv[1]), chosen)
