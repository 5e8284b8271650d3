"""Reference outputs and gradients of the decoders behind model.neck, of PyTorch in double precision.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install torch safetensors
    /tmp/venv/bin/python tests/reference/decoders.py tests/reference/decoders.safetensors

Each decoder is written here from its paper and from what mmsegmentation (FCNHead, UPerHead), SegFormer, the ProtoSeg code
(HRNet) and DeepLabV3+ are known to compute, with the names that the weights have in a model file of protoseg. Four maps of
odd sizes go in, with a batch of three, since pyramid pooling normalises means of images over the batch.
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

CHANNELS, SIZES = (5, 6, 7, 9), ((9, 10), (8, 7), (7, 5), (6, 7))
STRIDES = (4, 8, 16, 32)
LATERAL, WIDTH = 8, 6


class ConvModule(nn.Module):
    def __init__(self, inputs, outputs, kernel, dilation=1, groups=1):
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return functional.relu(self.bn(self.conv(x)))


def to_size_of(x, other, align_corners=False):
    return functional.interpolate(x, size=other.shape[2:], mode="bilinear", align_corners=align_corners)


class Fcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(ConvModule(CHANNELS[3], WIDTH, 3), ConvModule(WIDTH, WIDTH, 3))
        self.conv_cat = ConvModule(CHANNELS[3] + WIDTH, WIDTH, 3)

    def forward(self, maps):
        return self.conv_cat(torch.cat([maps[3], self.convs(maps[3])], 1))


class Upernet(nn.Module):
    def __init__(self):
        super().__init__()
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), ConvModule(CHANNELS[3], LATERAL, 1)) for bins in (1, 2, 3, 6)
        )
        self.bottleneck = ConvModule(CHANNELS[3] + 4 * LATERAL, LATERAL, 3)
        self.lateral_convs = nn.ModuleList(ConvModule(channels, LATERAL, 1) for channels in CHANNELS[:3])
        self.fpn_convs = nn.ModuleList(ConvModule(LATERAL, LATERAL, 3) for _ in range(3))
        self.fpn_bottleneck = ConvModule(4 * LATERAL, WIDTH, 3)

    def forward(self, maps):
        pyramid = [maps[3]] + [to_size_of(module(maps[3]), maps[3]) for module in self.psp_modules]
        levels = [conv(x) for conv, x in zip(self.lateral_convs, maps)] + [self.bottleneck(torch.cat(pyramid, 1))]
        for i in (2, 1, 0):
            levels[i] = levels[i] + to_size_of(levels[i + 1], levels[i])
        levels = [conv(x) for conv, x in zip(self.fpn_convs, levels)] + levels[3:]
        return self.fpn_bottleneck(torch.cat([to_size_of(x, levels[0]) for x in levels], 1))


class Embedding(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Linear(channels, LATERAL)

    def forward(self, x):
        return self.proj(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])


class Segformer(nn.Module):
    def __init__(self):
        super().__init__()
        for number, channels in enumerate(CHANNELS, 1):
            setattr(self, f"linear_c{number}", Embedding(channels))
        self.linear_fuse = ConvModule(4 * LATERAL, WIDTH, 1)

    def forward(self, maps):
        embedded = [getattr(self, f"linear_c{number}")(maps[number - 1]) for number in (4, 3, 2, 1)]
        return self.linear_fuse(torch.cat([to_size_of(x, maps[0]) for x in embedded], 1))


class Hrnet(nn.Module):
    def __init__(self):
        super().__init__()
        norm = nn.Sequential(nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.cls_head = nn.Sequential(nn.Conv2d(sum(CHANNELS), WIDTH, 3, padding=1), norm)

    def forward(self, maps):
        return self.cls_head(torch.cat([to_size_of(x, maps[0], True) for x in maps], 1))


class Separable(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.depthwise_conv = ConvModule(inputs, inputs, 3, groups=inputs)
        self.pointwise_conv = ConvModule(inputs, outputs, 1)

    def forward(self, x):
        return self.pointwise_conv(self.depthwise_conv(x))


class Aspp(nn.Module):
    def __init__(self):
        super().__init__()
        rate = 6 * 16 // STRIDES[3]
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(CHANNELS[3], LATERAL, 1))
        dilated = [ConvModule(CHANNELS[3], LATERAL, 3, dilation=rate * number) for number in (1, 2, 3)]
        self.aspp_modules = nn.ModuleList([ConvModule(CHANNELS[3], LATERAL, 1), *dilated])
        self.bottleneck = ConvModule(5 * LATERAL, LATERAL, 1)
        self.c1_bottleneck = ConvModule(CHANNELS[0], 48, 1)
        self.sep_bottleneck = nn.Sequential(Separable(LATERAL + 48, WIDTH), Separable(WIDTH, WIDTH))

    def forward(self, maps):
        pooled = to_size_of(self.image_pool(maps[3]), maps[3])
        context = self.bottleneck(torch.cat([pooled] + [module(maps[3]) for module in self.aspp_modules], 1))
        both = torch.cat([to_size_of(context, maps[0]), self.c1_bottleneck(maps[0])], 1)
        return self.sep_bottleneck(both)


def main(path):
    torch.manual_seed(7)
    maps = [torch.randn(3, c, *size).double() for c, size in zip(CHANNELS, SIZES)]
    # The wider of the two sizes that decoders end at, of which the other takes the beginning.
    seed = torch.randn(3, WIDTH, *SIZES[0]).double()
    tensors = {f"map.{i}": x for i, x in enumerate(maps)} | {"seed": seed}
    for decoder in (Fcn, Upernet, Segformer, Hrnet, Aspp):
        name = decoder.__name__.lower()
        net = decoder().double()
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.uniform_(-0.5, 0.5)
                    module.running_mean.normal_(0, 0.3)
                    module.running_var.uniform_(0.5, 2.0)
            for tensor in net.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(tensor.float().double())
        state = {k: v.clone() for k, v in net.state_dict().items() if "num_batches_tracked" not in k}
        tensors |= {f"{name}/head.{k}": v for k, v in state.items()}
        with torch.no_grad():
            tensors[f"{name}/eval"] = net.eval()(maps)
        inputs = [x.clone().requires_grad_() for x in maps]
        out = net.train()(inputs)
        tensors[f"{name}/train"] = out
        (out * seed[:, :, : out.shape[2], : out.shape[3]]).sum().backward()
        tensors |= {f"{name}/grad.head.{k}": p.grad for k, p in net.named_parameters()}
        tensors |= {f"{name}/grad.map.{i}": x.grad for i, x in enumerate(inputs) if x.grad is not None}
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()}, path)


if __name__ == "__main__":
    main(sys.argv[1])
