#!/usr/bin/env python3
"""Inference of MobileNetV2 with the prototype head in onnxruntime: one JSON document on standard output.

    onnx_peer.py [--threads 0] [--device cpu|cuda] [--seconds 1]

The model is exported from the PyTorch modules of network.py with random weights; it ends in the class map.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn

from network import Network

CLASSES, PROTOS, DIMENSION, SIZE = 11, 10, 64, (360, 480)


class Predictor(nn.Module):
    """Image `[1,3,H,W]` to class map `[1,H,W]`."""

    def __init__(self):
        super().__init__()
        self.network = Network()
        self.protos = nn.Parameter(F.normalize(torch.randn(CLASSES * PROTOS, DIMENSION), dim=-1))
        self.norm = nn.LayerNorm(CLASSES)

    def forward(self, image):
        emb, size = self.network(image)
        best = (emb @ self.protos.t()).view(-1, CLASSES, PROTOS).amax(dim=2)
        maps = self.norm(best).view(1, *size, CLASSES).permute(0, 3, 1, 2)
        return F.interpolate(maps, size=SIZE, mode="bilinear", align_corners=True).argmax(dim=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=0, help="0 = all cores")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent measuring, at least")
    args = parser.parse_args()
    torch.manual_seed(1)
    model, image = Predictor().eval(), torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        wanted = model(image).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[args.device]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        print("onnxruntime: exporting", file=sys.stderr)
        torch.onnx.export(model, (image,), str(path), dynamo=False, opset_version=17, input_names=["image"])
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    feed = {"image": image.numpy()}

    def run():
        return session.run(None, feed)[0]

    agreement = float(np.mean(run() == wanted))
    if agreement < 0.99:
        sys.exit(f"the exported model agrees with PyTorch on {agreement:.1%} of the pixels only")
    walls, cpus, start = [], [], time.perf_counter()
    while len(walls) < 5 or (time.perf_counter() - start < args.seconds and len(walls) < 100):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    times = {"best_secs": min(walls), "median_secs": statistics.median(walls), "cpu_secs": min(cpus)}
    document = {"peer": "onnxruntime", "version": onnxruntime.__version__, "device": args.device}
    result = {"name": "infer-mobilenet", **times, "runs": len(walls)}
    print(json.dumps({**document, "threads": args.threads, "results": [result]}, indent=1))


if __name__ == "__main__":
    main()
