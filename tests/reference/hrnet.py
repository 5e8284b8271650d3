"""Reference maps and gradients of HRNetV2-W18 and -W48, of PyTorch in double precision.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install torch timm safetensors
    /tmp/venv/bin/python tests/reference/hrnet.py OUT [hrnet_w18|hrnet_w48 ...]
    protoseg verify --weights OUT/hrnet_w18.align.weights.safetensors --arch hrnet_w18 OUT/hrnet_w18.align.maps.*
    PROTOSEG_REFERENCE=OUT cargo test --release --test backbones -- --ignored

The network is timm's, with random weights. Its batch norms get the statistics of random images, moved at random so that
they are nobody's own. timm enlarges coarse branches by an integer factor with the nearest pixel, so that its own forward
pass holds for sides that are multiples of 32 only; the bilinear kinds and odd sizes replace that one step by
torch.nn.functional.interpolate to the finer branch's size, which is what mmsegmentation (align_corners=False) and
openseg.pytorch (True) do. Nothing else is changed.

A gradient jumps where an input of a ReLU changes its sign, and among about a million of them some are nearer to 0 than single
precision tells apart: one of those moves a gradient by percents, whoever computes it. So before gradients are taken, the
norm in front of each ReLU gets shifts that put 0 into the widest gap among the middle values of a channel.
"""

import pathlib
import sys

import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

KINDS = {
    "align": {"mode": "bilinear", "align_corners": True},
    "half": {"mode": "bilinear", "align_corners": False},
    "nearest": {"mode": "nearest"},
}


class Enlarge(nn.Module):
    """In the place of nn.Upsample; the size is set before every pass."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.size = kind, None

    def forward(self, x):
        return functional.interpolate(x, size=self.size, **KINDS[self.kind])


def enlarge_by(network, kind):
    """Makes every exchange of `network` enlarge as `kind` does, to the size of the branch that is added to."""
    for stage in (network.stage2, network.stage3, network.stage4):
        for module in stage:
            layers = [(i, outer[j]) for i, outer in enumerate(module.fuse_layers) for j in range(i + 1, len(outer))]
            for _, layer in layers:
                layer[2] = Enlarge(kind)

            def sizes(_, inputs, layers=layers):
                for i, layer in layers:
                    layer[2].size = inputs[0][i].shape[2:]

            module.register_forward_pre_hook(sizes)


def randomise(net, forward):
    """Random norms, with the statistics of `forward`'s images moved at random; everything is a float."""
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
            norm.momentum = 1.0
        net.train()
        forward()
        for norm in norms:
            deviation = norm.running_var.sqrt()
            norm.running_mean += 0.3 * deviation * torch.randn_like(deviation)
            norm.running_var *= torch.empty_like(deviation).uniform_(0.5, 2.0)
        # What the files hold are floats; the reference starts from those.
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(tensor.float().double())


def network(name):
    """The network with random weights and statistics, and its names without those of the classifier."""
    torch.manual_seed(sum(name.encode()))
    net = timm.create_model(name, pretrained=False).double()
    randomise(net, lambda: net.stages(stem(net, torch.randn(2, 3, 96, 128, dtype=torch.float64))))
    return net.eval()


def stem(net, x):
    x = net.act1(net.bn1(net.conv1(x)))
    return net.act2(net.bn2(net.conv2(x)))


def maps(net, x):
    return {f"stride{4 << i}": y for i, y in enumerate(net.stages(stem(net, x)))}


def backbone(named):
    """Those of the network without its classifier."""
    head = ("incre_modules", "downsamp_modules", "final_layer", "classifier")
    return {k: v for k, v in named if not k.startswith(head) and "num_batches_tracked" not in k}


def relus_of(net):
    """Every ReLU with the norms whose shift moves its input: one for each of its calls."""
    for act, norm in ((net.act1, net.bn1), (net.act2, net.bn2)):
        yield act, [norm]
    for module in net.modules():
        if hasattr(module, "act2") and hasattr(module, "conv2") and module is not net:
            last = 3 if hasattr(module, "act3") else 2
            for number in range(1, last + 1):
                yield getattr(module, f"act{number}"), [getattr(module, f"bn{number}")]
        elif isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[2], nn.ReLU):
            yield module[2], [module[1]]
        elif hasattr(module, "fuse_act"):
            norms = []
            for i, outer in enumerate(module.fuse_layers):
                other = outer[1] if i == 0 else outer[0][-1]
                norms.append(other[1])
            yield module.fuse_act, norms


def away_from_kinks(net, x, relus=relus_of, maps=maps, kinks=(0,)):
    """Moves the shifts so that no input of a ReLU is near its `kinks` for the images `x`; returns the nearest, in deviations."""
    nearest, handles = [], []
    for act, norms in relus(net):
        calls = iter(norms)

        def move(_, inputs, calls=calls):
            z, bias = inputs[0], next(calls).bias
            inputs = z.transpose(0, 1).flatten(1)
            deviation = inputs.std(dim=1, keepdim=True) + 1e-12
            # What a shift must not be, for any of the kinks.
            values = torch.cat([inputs - kink for kink in kinks], dim=1).sort(dim=1).values
            middle = (values[:, 1:] + values[:, :-1]) / 2
            away = (middle - inputs.median(dim=1, keepdim=True).values).abs()
            gaps = values[:, 1:] - values[:, :-1]
            gap = gaps.masked_fill(away > deviation, 0)
            # A channel that is nearly constant but for a pixel has none within a deviation.
            narrow = gap.amax(dim=1, keepdim=True) < 1e-3 * deviation
            gap = torch.where(narrow, gaps.masked_fill(away > 4 * deviation, 0), gap)
            wanted = middle.gather(1, gap.argmax(dim=1, keepdim=True))[:, 0]
            new = (bias - wanted).float().double()
            z = z + (new - bias)[:, None, None]
            bias.copy_(new)
            distance = torch.stack([(z - kink).abs() for kink in kinks]).amin(dim=0)
            nearest.append((distance.transpose(0, 1).flatten(1).min(dim=1, keepdim=True).values / deviation).min())
            return (z,)

        handles.append(act.register_forward_pre_hook(move))
    with torch.no_grad():
        maps(net, x)
    for handle in handles:
        handle.remove()
    return min(nearest).item(), len(nearest)


def save(path, tensors, kind=None):
    tensors = {k: v.detach().float().contiguous() for k, v in tensors.items()}
    save_file(tensors, path, metadata={"hrnet_upsampling": kind} if kind else None)
    print(path.name)


def main(out, names):
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        for kind in ["timm", *KINDS]:
            net = network(name)
            x = torch.randn(2, 3, 37, 45).double()
            if kind != "timm":
                enlarge_by(net, kind)
                print("no ReLU nearer to 0 than %.1e deviations (%d of them)" % away_from_kinks(net, x))
            save(out / f"{name}.{kind}.weights.safetensors", backbone(net.state_dict().items()))
            size = (96, 64) if kind == "timm" else (97, 131)
            image = torch.randn(1, 3, *size).double()
            with torch.no_grad():
                found = maps(net, image)
            said = "nearest" if kind == "timm" else kind
            save(out / f"{name}.{kind}.maps.safetensors", {"input": image, **found}, said)
            if kind == "timm":
                continue
            # Gradients of a random weighting of all maps, with the statistics as they are.
            found = maps(net, x)
            seeds = {k: torch.randn_like(v).float().double() for k, v in found.items()}
            sum((found[k] * seeds[k]).sum() for k in found).backward()
            grads = {f"grad.{k}": p.grad for k, p in backbone(net.named_parameters()).items()}
            seeds = {f"seed.{i}": v for i, v in enumerate(seeds.values())}
            save(out / f"{name}.{kind}.gradients.safetensors", {"input": x, **seeds, **grads}, kind)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] or ["hrnet_w18", "hrnet_w48"])
