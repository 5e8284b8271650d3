"""Compares what ONNX Runtime computes from an exported model with what `protoseg predict` does.

    pip install onnx onnxruntime safetensors pillow numpy
    python tests/reference/onnx_check.py target/release/protoseg IMAGE MODEL.safetensors...
    python tests/reference/onnx_check.py target/release/protoseg IMAGE --families

Each model is exported for the size of the image. Logits and embeddings must agree within 1e-4 of the largest; classes and prototypes
must be equal but where the two best are as near to each other as that. With --families the models are made first: two training
steps from random weights on a drawn street, one for each family of backbones, each decoder, each head and each kind of logit.
Exit status 1 if one differs.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from safetensors.numpy import load_file

TOLERANCE = 1e-4
FAMILIES = {
    "scratch, mix": ["model.arch='scratch'", "model.taps=[4,8,16]", "model.output_stride=16"],
    "scratch, softmax": ["model.arch='scratch'", "model.taps=[4,8,16]", "model.output_stride=16", "head.kind='softmax'"],
    "scratch, query": ["model.arch='scratch'", "model.taps=[4,8,16]", "model.output_stride=16", "head.kind='query'", "head.query_heads=3"],
    "scratch, scaled": ["model.arch='scratch'", "model.taps=[4,8]", "model.output_stride=8", "head.class_logit='scaled'"],
    "scratch, plain": ["model.arch='scratch'", "model.taps=[4,8]", "model.output_stride=8", "head.class_logit='plain'"],
    "scratch, width norm": ["model.arch='scratch'", "model.taps=[4,8]", "model.output_stride=8", "head.proj_norm='width'"],
    "scratch, enlarged": ["model.arch='scratch'", "model.taps=[4,8]", "model.output_stride=8", "model.input_scale=1.5"],
    "mobilenet_v2, aspp": ["model.arch='mobilenet_v2'", "model.output_stride=16", "model.taps=[4,16]", "model.neck='aspp'"],
    "resnet18, fcn": ["model.arch='resnet18'", "model.output_stride=8", "model.taps=[4,8]", "model.neck='fcn'"],
    "resnet50, upernet": ["model.arch='resnet50'", "model.neck='upernet'"],
    "hrnet_w18, hrnet": ["model.arch='hrnet_w18'", "model.neck='hrnet'"],
    "hrnet_w18, nearest": ["model.arch='hrnet_w18'", "model.neck='hrnet'", "model.hrnet_upsampling='nearest'"],
    "vit_tiny": ["model.arch='vit_tiny_patch16_224'", "model.taps=[16]", "model.neck='linear'"],
    "vit_tiny, upernet": ["model.arch='vit_tiny_patch16_224'", "model.neck='upernet'"],
    "dinov2 with registers": ["model.arch='vit_small_patch14_reg4_dinov2'", "model.taps=[16]", "model.neck='linear'"],
    "swin_tiny, upernet": ["model.arch='swin_tiny_patch4_window7_224'", "model.neck='upernet'"],
    "mit_b0, segformer": ["model.arch='mit_b0'", "model.neck='segformer'"],
}
COMMON = ["model.lateral=16", "model.width=32", "model.embedding=24", "model.prototypes=4"]


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")


def family(protoseg, folder, settings):
    """A model of these settings after two steps from random weights."""
    street = folder / "street"
    if not street.exists():
        run(protoseg, "synth", "--out", street, "--images", 4, "--seed", 3, "--size", "96x64")
    config = folder / "config.toml"
    sections = {"data": [f"root = '{street}'"], "augment": ["crop_height = 64", "crop_width = 96"],
                "train": ["steps = 2", "batch = 2", "lr = 0.01", "eval_every = 0"]}
    for setting in COMMON + settings:
        key, value = setting.split("=", 1)
        section, name = key.split(".")
        sections.setdefault(section, []).append(f"{name} = {value}")
    config.write_text("\n".join(f"[{name}]\n" + "\n".join(lines) for name, lines in sections.items()))
    out = folder / "run"
    subprocess.run(["rm", "-rf", out], check=True)
    run(protoseg, "train", config, "--out", out)
    return out / "last.safetensors"


def ties(ours, theirs, best, name):
    """Share of pixels that differ, and of those that differ though `best` (margin by class or prototype) is clear."""
    differ = ours != theirs
    clear = differ & (best > TOLERANCE)
    return f"{name} differ at {differ.sum()} of {differ.size}", int(clear.sum())


def bilinear(maps, height, width):
    """`[h,w,C]` at another size, corners aligned."""

    def taps(length, out):
        at = np.arange(out) * (length - 1) / max(out - 1, 1)
        low = np.minimum(np.floor(at).astype(int), length - 1)
        return low, np.minimum(low + 1, length - 1), (at - low)[:, None, None]

    y0, y1, ty = taps(maps.shape[0], height)
    x0, x1, tx = taps(maps.shape[1], width)
    rows = maps[y0] * (1 - ty) + maps[y1] * ty
    tx = tx.reshape(1, -1, 1)
    return rows[:, x0] * (1 - tx) + rows[:, x1] * tx


def check(protoseg, image, model, title, folder):
    pixels = np.asarray(Image.open(image).convert("RGB"))
    height, width = pixels.shape[:2]
    # Decoders of JPEG differ by some levels at edges: both get what this one made.
    image = folder / "image.png"
    Image.fromarray(pixels).save(image)
    file = folder / "model.onnx"
    run(protoseg, "export", model, "--onnx", "--size", f"{height}x{width}", "--out", file)
    run(protoseg, "predict", model, image, "--map", "tensors", "--out", folder / "ours")
    ours = load_file(folder / "ours" / "image.safetensors")
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = pixels.astype(np.float32).transpose(2, 0, 1)[None] / 255
    theirs = dict(zip(names, session.run(names, {"image": feed})))
    good, said = True, []
    for name in ("logits", "embedding"):
        off = np.abs(ours[name] - theirs[name]).max() / np.abs(ours[name]).max()
        good &= bool(off <= TOLERANCE)
        said.append(f"{name} {off:.1e}")
    logits = bilinear(ours["logits"][0].astype(np.float64), height, width)
    two = np.sort(logits, axis=-1)
    margin = (two[..., -1] - two[..., -2]) / np.abs(ours["logits"]).max()
    classes = ours["classes"][0].astype(np.int64)
    text, clear = ties(classes, theirs["classes"][0], margin, f"{len(np.unique(classes))} classes")
    said.append(text)
    good &= clear == 0
    if "prototypes" in theirs:
        embedding = bilinear(ours["embedding"][0].astype(np.float64), height, width)
        vectors = load_file(model)["prototypes"].astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
        cosines = np.einsum("hwd,hwkd->hwk", embedding, vectors[classes])
        two = np.sort(cosines, axis=-1)
        margin = two[..., -1] - two[..., -2] if two.shape[-1] > 1 else np.full(classes.shape, np.inf)
        same = classes == theirs["classes"][0]
        text, clear = ties(ours["prototypes"][0] * same, theirs["prototypes"][0] * same, margin, f"{len(np.unique(ours['prototypes']))} prototypes")
        said.append(text)
        good &= clear == 0
    print(f"{title:24} {height}x{width}  {', '.join(said)}  {'ok' if good else 'DIFFERS'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protoseg")
    parser.add_argument("image")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--families", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        good = [check(args.protoseg, args.image, model, Path(model).stem, folder) for model in args.models]
        for title, settings in FAMILIES.items() if args.families else ():
            model = family(args.protoseg, folder, settings)
            good.append(check(args.protoseg, args.image, model, title, folder))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
