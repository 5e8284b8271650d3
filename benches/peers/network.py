"""MobileNetV2 with the neck and the projection of `protoseg`'s default model, in PyTorch: image to unit embeddings."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import mobilenet_v2

# Last block of every stride (4, 8, 16, 32) in torchvision's numbering, and its channels.
TAPS = {3: 24, 6: 32, 13: 96, 17: 320}


def conv_bn(inputs, outputs, kernel=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Network(nn.Module):
    def __init__(self, lateral=64, width=128, embedding=64):
        super().__init__()
        self.features = mobilenet_v2(weights=None).features[:18]
        self.lateral = nn.ModuleList(conv_bn(channels, lateral) for channels in TAPS.values())
        wide = lateral * len(TAPS)
        self.mix = nn.Sequential(conv_bn(wide, wide, 3, wide), conv_bn(wide, width), nn.Dropout2d(0.1))
        self.projection = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, embedding, 1))
        self.norm = nn.LayerNorm(embedding)

    def forward(self, image):
        """`image [B,3,H,W]` to unit embeddings `[N, D]` and the map's (height, width)."""
        x, taps = image, []
        for index, block in enumerate(self.features):
            x = block(x)
            if index in TAPS:
                taps.append(x)
        size = taps[0].shape[2:]
        maps = [lateral(tap) for lateral, tap in zip(self.lateral, taps)]
        maps = [maps[0]] + [F.interpolate(m, size=size, mode="bilinear", align_corners=True) for m in maps[1:]]
        raw = self.projection(self.mix(torch.cat(maps, dim=1)))
        rows = F.normalize(raw, dim=1).permute(0, 2, 3, 1).flatten(0, 2)
        return F.normalize(self.norm(rows), dim=-1), (int(size[0]), int(size[1]))
