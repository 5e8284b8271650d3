"""Loads what `protoseg export --backbone` writes into the networks of torchvision, timm and transformers.

    pip install torch torchvision timm transformers safetensors pillow numpy onnx onnxruntime
    python tests/reference/export_check.py target/release/protoseg

Models of two training steps are made first (see onnx_check.py). Every tensor must be taken, with its shape, and nothing but
the classifier's may be missing: what stands behind the last map, which protoseg's networks do not have. The whole model, which
`export --dtype f32` writes, must hold the same tensors. Exit status 1 if one differs.
"""

import sys
import tempfile
from pathlib import Path

import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file

from onnx_check import family, run

# Settings, the library's network, and what may be missing: classifiers, and what stands between them and the last map. timm makes
# an HRNet with a classifier that has convolutions of its own.
NETWORKS = {
    "mobilenet_v2": (["model.arch='mobilenet_v2'"], torchvision.models.mobilenet_v2, ["classifier.", "features.18."]),
    "resnet18": (["model.arch='resnet18'"], torchvision.models.resnet18, ["fc."]),
    "resnet50": (["model.arch='resnet50'"], torchvision.models.resnet50, ["fc."]),
    "hrnet_w18": (
        ["model.arch='hrnet_w18'", "model.neck='hrnet'"],
        lambda: timm.create_model("hrnet_w18"),
        ["incre_modules.", "downsamp_modules.", "final_layer.", "classifier."],
    ),
    "vit_tiny_patch16_224": (
        ["model.arch='vit_tiny_patch16_224'", "model.taps=[16]"],
        lambda: timm.create_model("vit_tiny_patch16_224"),
        ["head."],
    ),
    "vit_small_patch14_reg4_dinov2": (
        ["model.arch='vit_small_patch14_reg4_dinov2'", "model.taps=[16]"],
        lambda: timm.create_model("vit_small_patch14_reg4_dinov2"),
        ["head."],
    ),
    # Norms behind the stages are not part of a classifier: timm has them where it gives maps.
    "swin_tiny_patch4_window7_224": (
        ["model.arch='swin_tiny_patch4_window7_224'", "model.neck='upernet'"],
        lambda: timm.create_model("swin_tiny_patch4_window7_224"),
        ["norm.", "head."],
    ),
    # As a checkpoint of transformers: see `pretrained`.
    "mit_b0": (["model.arch='mit_b0'", "model.neck='segformer'"], None, []),
}


def pretrained(weights, folder):
    """What transformers makes of a file of weights beside its configuration."""
    folder.mkdir()
    transformers.SegformerConfig().save_pretrained(folder)
    (folder / "model.safetensors").write_bytes(weights.read_bytes())
    network, info = transformers.SegformerModel.from_pretrained(folder, output_loading_info=True)
    return dict(network.state_dict()), info["missing_keys"], info["unexpected_keys"]


def check(protoseg, name, settings, network, absent, folder):
    model = family(protoseg, folder, settings)
    alone, whole = folder / "backbone.safetensors", folder / "whole.safetensors"
    run(protoseg, "export", model, "--backbone", "--out", alone)
    run(protoseg, "export", model, "--dtype", "f32", "--out", whole)
    tensors, all_tensors = load_file(alone), load_file(whole)
    if name.startswith("mit"):
        loaded, missing, extra = pretrained(alone, folder / "hub")
        # transformers 5 has other names inside than in files: the numbers are looked for by their sum.
        sums = {round(float(value.double().sum()), 9) for value in loaded.values()}
        same = all(round(float(value.double().sum()), 9) in sums for value in tensors.values())
    else:
        network = network()
        missing, extra = network.load_state_dict(tensors, strict=False)
        loaded = dict(network.state_dict())
        same = all(torch.equal(loaded[key], value) for key, value in tensors.items() if key in loaded)
    extra = [key for key in extra if not ("swin" in name and key.startswith("norm"))]
    missing = [key for key in missing if not key.startswith(tuple(absent))]
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    same &= all(torch.equal(all_tensors[key], value) for key, value in tensors.items())
    good = same and not extra and not missing
    print(f"{name:32} {len(tensors)} tensors, {len(all_tensors)} of the model  {'ok' if good else 'DIFFERS'}", flush=True)
    for what, keys in (("not taken", extra), ("missing", missing)):
        if keys:
            print(f"  {what}: {', '.join(keys[:8])}")
    return good


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        good = [check(sys.argv[1], name, *row, Path(folder)) for name, row in NETWORKS.items()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
