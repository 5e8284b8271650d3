"""Reference maps and gradients of the residual networks and MobileNetV2, of PyTorch in double precision.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install torch torchvision timm safetensors
    /tmp/venv/bin/python tests/reference/resnet.py OUT [ARCH ...]
    PROTOSEG_REFERENCE=OUT cargo test --release --test backbones -- --ignored

The networks are torchvision's with random weights. As in hrnet.py the batch norms get statistics that are nobody's own and stay as
they are, and no ReLU has an input near 0: with the statistics of the batch, single precision loses the gradients of 50 random
layers, PyTorch's too.
"""

import pathlib
import sys

import torch
import torchvision
from torch import nn

import hrnet


def network(name):
    torch.manual_seed(sum(name.encode()))
    net = getattr(torchvision.models, name)().double()
    net.fc = net.classifier = nn.Identity()
    hrnet.randomise(net, lambda: maps(net, torch.randn(2, 3, 96, 128).double()))
    return net.eval()


def maps(net, x):
    if isinstance(net, torchvision.models.MobileNetV2):
        found = {}
        for number, layer in enumerate(net.features[:18]):
            x = layer(x)
            if number in (3, 6, 13, 17):
                found[f"stride{4 << len(found)}"] = x
        return found
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    found = {}
    for number in range(1, 5):
        x = getattr(net, f"layer{number}")(x)
        found[f"stride{2 << number}"] = x
    return found


def relus(net):
    """Every ReLU with the norms whose shift moves its input: one for each of its calls."""
    if isinstance(net, torchvision.models.MobileNetV2):
        for module in net.features[:18].modules():
            if isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[2], nn.ReLU6):
                yield module[2], [module[1]]
        return
    yield net.relu, [net.bn1]
    for module in net.modules():
        if isinstance(module, (torchvision.models.resnet.BasicBlock, torchvision.models.resnet.Bottleneck)):
            yield module.relu, [getattr(module, f"bn{i}") for i in (1, 2, 3) if hasattr(module, f"bn{i}")]


def main(out, names):
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        net = network(name)
        x = torch.randn(2, 3, 37, 45).float().double()
        kinks = (0, 6) if isinstance(net, torchvision.models.MobileNetV2) else (0,)
        print("no ReLU nearer to 0 than %.1e deviations (%d of them)" % hrnet.away_from_kinks(net, x, relus, maps, kinks))
        state = {k: v for k, v in net.state_dict().items() if "num_batches_tracked" not in k}
        hrnet.save(out / f"{name}.weights.safetensors", state)
        image = torch.randn(1, 3, 97, 131).float().double()
        with torch.no_grad():
            hrnet.save(out / f"{name}.maps.safetensors", {"input": image, **maps(net, image)})
        found = maps(net, x)
        seeds = [torch.randn_like(v).float().double() for v in found.values()]
        sum((v * seed).sum() for v, seed in zip(found.values(), seeds)).backward()
        grads = {f"grad.{k}": p.grad for k, p in net.named_parameters() if p.grad is not None}
        seeds = {f"seed.{i}": seed for i, seed in enumerate(seeds)}
        hrnet.save(out / f"{name}.gradients.safetensors", {"input": x, **seeds, **grads})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] or ["resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2"])
