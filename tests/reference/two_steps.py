"""Losses of two training steps of each backbone on crops of CamVid, of PyTorch in double precision.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install torch torchvision timm transformers safetensors
    /tmp/venv/bin/python tests/reference/two_steps.py OUT CAMVID WEIGHTS [ARCH ...]
    PROTOSEG_REFERENCE=OUT cargo test --release --test backbones -- --ignored

CAMVID is the data set in protoseg's folder layout, WEIGHTS a folder with pretrained ARCH.safetensors for those that have one;
the others start at random. Behind the backbone stands what `model.neck = "linear"` and `head.kind = "softmax"` stand for: the maps
enlarged to the finest (corners aligned) and side by side, a linear layer, a vector per class, the scores enlarged to the
labels, cross-entropy. Gradient descent with momentum 0.9, at a rate at which the first step takes about 0.05 off the loss. Batch norms use the statistics of the batch where weights are
pretrained. A deep network of random weights makes nonsense of those in single precision, PyTorch's too: there they keep the
statistics of the two crops.
"""

import pathlib
import sys

import numpy
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

import hrnet
import vision_transformers

CLASSES, WIDTH, MOMENTUM = 11, 24, 0.9
CROPS = [("0016E5_02040", 96, 128), ("0016E5_02040", 200, 300)]
SIZE = (96, 128)


class MobilenetV2:
    def __init__(self):
        self.net = torchvision.models.mobilenet_v2().features[:18]

    def maps(self, x):
        found = []
        for number, layer in enumerate(self.net):
            x = layer(x)
            if number in (3, 6, 13, 17):
                found.append(x)
        return found

    def rename(self, tensors):
        return {f"features.{k}": v for k, v in tensors}


class Resnet:
    def __init__(self, name, layers):
        self.net = getattr(torchvision.models, name)()
        self.layers = layers
        for number in (1, 2, 3, 4):
            if number > layers:
                setattr(self.net, f"layer{number}", torch.nn.Identity())
        self.net.fc = torch.nn.Identity()

    def maps(self, x):
        net, found = self.net, []
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for number in range(1, self.layers + 1):
            x = getattr(net, f"layer{number}")(x)
            found.append(x)
        return found

    def rename(self, tensors):
        return dict(tensors)


class Hrnet:
    def __init__(self, name):
        self.net = hrnet.network(name)
        hrnet.enlarge_by(self.net, "align")

    def maps(self, x):
        return list(hrnet.maps(self.net, x).values())

    def rename(self, tensors):
        return hrnet.backbone(tensors)


class Transformer:
    def __init__(self, name):
        self.made = vision_transformers.network(name)
        self.net = self.made.net

    def maps(self, x):
        found = list(self.made.maps(x).values())
        # Of a plain transformer the last map alone.
        return found[-1:] if isinstance(self.made, vision_transformers.Vit) else found

    def rename(self, tensors):
        return self.made.rename(tensors)


def backbone(name):
    torch.manual_seed(1)
    if name == "mobilenet_v2":
        return MobilenetV2()
    if name.startswith("resnet"):
        return Resnet(name, 3 if name == "resnet18" else 4)
    return (Hrnet if name.startswith("hrnet") else Transformer)(name)


def data(root, name):
    images, labels = [], []
    halves = name.startswith("vit") and "dinov2" not in name
    mean, std = ([0.5] * 3, [0.5] * 3) if halves else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    for stem, top, left in CROPS:
        area = (slice(top, top + SIZE[0]), slice(left, left + SIZE[1]))
        path = next((root / "images/train").glob(f"{stem}.*"))
        image = numpy.asarray(Image.open(path).convert("RGB"))[area] / 255.0
        images.append(torch.tensor((image - mean) / std).permute(2, 0, 1))
        mask = numpy.asarray(Image.open(root / f"masks/train/{stem}.png"))[area].astype(numpy.int64)
        labels.append(torch.tensor(numpy.where(mask < CLASSES, mask, -1)))
    # What the file holds are floats.
    return torch.stack(images).float().double(), torch.stack(labels)


def main(out, camvid, weights, names):
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        made = backbone(name)
        net = made.net.double()
        files = list(weights.glob(f"{name}*.safetensors"))
        if files:
            given = {k.removeprefix("features."): v.double() for k, v in load_file(files[0]).items()}
            missing = net.load_state_dict(given, strict=False).missing_keys
            assert all("num_batches_tracked" in k for k in missing), missing
        for x in [*net.parameters(), *net.buffers()]:
            x.data = x.data.float().double() if x.is_floating_point() else x.data
        net.train()
        image, labels = data(camvid, name)
        with torch.no_grad():
            if not files:
                norms = [x for x in net.modules() if isinstance(x, torch.nn.BatchNorm2d)]
                for norm in norms:
                    norm.momentum = 1.0
                made.maps(image)
                for norm in norms:
                    norm.running_mean.copy_(norm.running_mean.float())
                    norm.running_var.copy_(norm.running_var.float())
                net.eval()
            state = {k: v.clone() for k, v in net.state_dict().items()}
            channels = sum(x.shape[1] for x in made.maps(image))
            net.load_state_dict(state)
        head = {
            "head.linear.weight": torch.randn(WIDTH, channels, 1, 1) / channels**0.5,
            "head.linear.bias": torch.randn(WIDTH) * 0.1,
            "head.classifier.weight": torch.randn(CLASSES, WIDTH) / WIDTH**0.5,
        }
        head = {k: v.float().double().requires_grad_() for k, v in head.items()}
        first = {k: v.detach().float().contiguous() for k, v in [*made.rename(state.items()).items(), *head.items()]}
        first = {k: v for k, v in first.items() if "num_batches_tracked" not in k}
        params, step = [*net.parameters(), *head.values()], None
        losses = []
        for _ in range(3):
            maps = made.maps(image)
            size = maps[0].shape[2:]
            maps = [functional.interpolate(x, size=size, mode="bilinear", align_corners=True) for x in maps]
            z = functional.conv2d(torch.cat(maps, 1), head["head.linear.weight"], head["head.linear.bias"])
            scores = torch.einsum("bdhw,cd->bchw", z, head["head.classifier.weight"])
            scores = functional.interpolate(scores, size=SIZE, mode="bilinear", align_corners=True)
            loss = functional.cross_entropy(scores, labels, ignore_index=-1)
            losses.append(loss.item())
            net.zero_grad()
            for x in head.values():
                x.grad = None
            loss.backward()
            if step is None:
                squares = sum((x.grad**2).sum() for x in params if x.grad is not None)
                rate = (0.05 / squares).float()
                step = torch.optim.SGD(params, lr=rate.item(), momentum=MOMENTUM)
            step.step()
        print(name, *("%.6f" % x for x in losses))
        found = {"image": image.float(), "labels": labels.int(), "losses": torch.tensor(losses), "rate": rate.reshape(1)}
        save_file({**found, **first}, out / f"{name}.steps.safetensors")


if __name__ == "__main__":
    chosen = sys.argv[4:] or [
        "mobilenet_v2", "resnet18", "resnet50", "hrnet_w18", "vit_tiny_patch16_224",
        "vit_small_patch14_reg4_dinov2", "swin_tiny_patch4_window7_224", "mit_b0",
    ]
    main(*map(pathlib.Path, sys.argv[1:4]), chosen)
