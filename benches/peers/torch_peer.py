#!/usr/bin/env python3
"""The named workloads of `protoseg bench` in PyTorch: same work, same sizes, one JSON document on standard output.

    torch_peer.py --threads 1 --device cpu [WORK...]

The head follows the published description of the method: one loop over the classes, a dense matrix of similarities,
Sinkhorn-Knopp on the matrix itself. Float32 throughout; TF32 is off on CUDA.
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from network import Network

SINKHORN_ROUNDS, KAPPA, MOMENTUM, TAU = 3, 0.05, 0.999, 0.1
PPC_WEIGHT, PPD_WEIGHT = 0.01, 0.001


def gemm(device, rows, inner, columns):
    a = torch.rand(rows, inner, device=device) - 0.5
    b = torch.rand(inner, columns, device=device) - 0.5
    return lambda: a @ b


def convolution(device, groups, gradients):
    x = torch.rand(4, 64, 90, 120, device=device) - 0.5
    w = torch.rand(64, 64 // groups, 3, 3, device=device) - 0.5
    # PyTorch's own choice of memory layout on a CPU is the faster one for each of these.
    if not gradients:
        return lambda: F.conv2d(x, w, padding=1, groups=groups)
    x.requires_grad_(), w.requires_grad_()
    seed = torch.rand(4, 64, 90, 120, device=device) - 0.5

    def run():
        y = F.conv2d(x, w, padding=1, groups=groups)
        return torch.autograd.grad(y, (x, w), seed)

    return run


def sinkhorn(similarities):
    """Soft assignment of the pixels of one class: `similarities [n, K]`, rows of the result sum to 1."""
    plan = torch.exp(similarities / KAPPA).t()
    protos, pixels = plan.shape
    plan = plan / plan.sum()
    for _ in range(SINKHORN_ROUNDS):
        plan = plan / plan.sum(dim=1, keepdim=True) / protos
        plan = plan / plan.sum(dim=0, keepdim=True) / pixels
    return (plan * pixels).t()


def one_class(device):
    similarities = 2 * torch.rand(10_000, 10, device=device) - 1
    return lambda: sinkhorn(similarities)


class Head:
    """State of the prototype classifier: prototypes `[C, K, D]`, scale and shift of the norm over classes."""

    def __init__(self, device, classes, protos, dimension):
        self.sizes = (classes, protos)
        self.protos = F.normalize(torch.randn(classes, protos, dimension, device=device), dim=-1)
        self.gamma = torch.ones(classes, device=device, requires_grad=True)
        self.beta = torch.zeros(classes, device=device, requires_grad=True)
        self.weights = torch.ones(classes, device=device)

    def loss(self, emb, size, labels):
        """Total loss of embeddings `[N, D]` on maps of `size` (height, width), and the update of the prototypes."""
        classes, protos = self.sizes
        self.protos = F.normalize(self.protos, dim=-1)
        similarities = emb @ self.protos.reshape(classes * protos, -1).t()
        best = similarities.view(-1, classes, protos).amax(dim=2)
        logits = F.layer_norm(best, (classes,), self.gamma, self.beta)
        coarse = F.interpolate(labels[:, None].float(), size=size, mode="nearest")[:, 0].long().flatten()
        target = self.cluster(emb, similarities, logits, coarse)
        maps = logits.view(labels.shape[0], *size, classes).permute(0, 3, 1, 2)
        maps = F.interpolate(maps, size=labels.shape[1:], mode="bilinear", align_corners=True)
        ce = F.cross_entropy(maps, labels, self.weights, ignore_index=-1)
        ppc = F.cross_entropy(similarities / TAU, target, ignore_index=-1)
        valid = target >= 0
        own = similarities[valid].gather(1, target[valid][:, None])
        return ce + PPC_WEIGHT * ppc + PPD_WEIGHT * (1 - own).square().mean()

    @torch.no_grad()
    def cluster(self, emb, similarities, logits, coarse):
        """Assigns every labelled pixel to a prototype of its class and moves the prototypes; returns the targets."""
        classes, protos = self.sizes
        target = torch.full_like(coarse, -1)
        predicted = logits.argmax(dim=1)
        moved = self.protos.clone()
        for c in range(classes):
            rows = (coarse == c).nonzero()[:, 0]
            if rows.numel() == 0:
                continue
            soft = sinkhorn(similarities[rows, c * protos : (c + 1) * protos])
            k = soft.argmax(dim=1)
            target[rows] = c * protos + k
            right = (predicted[rows] == c).float()[:, None]
            chosen = F.one_hot(k, protos).float() * right
            sums, counts = chosen.t() @ emb[rows], chosen.sum(dim=0)
            mixed = MOMENTUM * moved[c] + (1 - MOMENTUM) * F.normalize(sums, dim=-1)
            moved[c] = torch.where(counts[:, None] > 0, mixed, moved[c])
        self.protos = F.normalize(moved, dim=-1)
        return target


def head_step(device, classes):
    side, scale = 128, 4
    head = Head(device, classes, 10, 256)
    emb = F.normalize(torch.randn(side * side, 256, device=device), dim=-1).requires_grad_()
    labels = torch.randint(0, classes, (1, side, side), device=device)
    labels = labels.repeat_interleave(scale, 1).repeat_interleave(scale, 2)

    def run():
        loss = head.loss(emb, (side, side), labels)
        return torch.autograd.grad(loss, (emb, head.gamma, head.beta))

    return run


def training(device):
    classes, batch = 11, 8
    network, head = Network().to(device).train(), Head(device, classes, 10, 64)
    weights = [*network.parameters(), head.gamma, head.beta]
    optimiser = torch.optim.SGD(weights, lr=1e-3, momentum=0.9, weight_decay=5e-4)
    image = torch.randn(batch, 3, 360, 480, device=device)
    labels = torch.randint(0, classes, (batch, 90, 120), device=device)
    labels = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)

    def run():
        emb, size = network(image)
        optimiser.zero_grad(set_to_none=True)
        head.loss(emb, size, labels).backward()
        optimiser.step()

    return run


def inference(device):
    network, head = Network().to(device).eval(), Head(device, 11, 10, 64)
    image = torch.randn(1, 3, 360, 480, device=device)

    @torch.no_grad()
    def run():
        emb, size = network(image)
        similarities = emb @ head.protos.reshape(110, 64).t()
        logits = F.layer_norm(similarities.view(-1, 11, 10).amax(dim=2), (11,), head.gamma, head.beta)
        maps = logits.view(1, *size, 11).permute(0, 3, 1, 2)
        return F.interpolate(maps, size=(360, 480), mode="bilinear", align_corners=True).argmax(dim=1)

    return run


WORKS = {
    "gemm-512": lambda d: gemm(d, 512, 512, 512),
    "gemm-1024": lambda d: gemm(d, 1024, 1024, 1024),
    "gemm-16384x256x190": lambda d: gemm(d, 16384, 256, 190),
    "gemm-43200x96x24": lambda d: gemm(d, 43200, 96, 24),
    "conv3x3": lambda d: convolution(d, 1, False),
    "conv3x3-gradients": lambda d: convolution(d, 1, True),
    "depthwise3x3": lambda d: convolution(d, 64, False),
    "depthwise3x3-gradients": lambda d: convolution(d, 64, True),
    "sinkhorn-10000x10": one_class,
    "head-step-11": lambda d: head_step(d, 11),
    "head-step-150": lambda d: head_step(d, 150),
    "head-step-847": lambda d: head_step(d, 847),
    "train-mobilenet": training,
    "infer-mobilenet": inference,
}


def measure(run, device, seconds):
    """Best and median of several batches of runs after a warm-up: wall time and processor time of one run."""

    def batch(count):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            run()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count

    batch(1)
    start, once = time.perf_counter(), batch(1)
    count = max(1, min(1000, int(0.05 / max(once[0], 1e-6))))
    # A run that is long enough is a sample itself, and of very long ones two must do.
    samples, wanted = [once] if count == 1 else [], 2 if once[0] > 3 else 3
    while len(samples) < wanted or (time.perf_counter() - start < seconds and len(samples) < 50):
        samples.append(batch(count))
    walls, cpus = zip(*samples)
    best = {"best_secs": min(walls), "median_secs": statistics.median(walls), "cpu_secs": min(cpus)}
    return {**best, "runs": len(samples)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="*", help="names of workloads; all by default")
    parser.add_argument("--threads", type=int, default=0, help="0 = all cores")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on each workload, at least")
    args = parser.parse_args()
    unknown = [name for name in args.work if name not in WORKS]
    if unknown:
        parser.error(f"no workload {unknown}; there are {list(WORKS)}")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # The fastest of cuDNN's kernels for every shape, found in the warm-up.
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)
    results = []
    for name in args.work or WORKS:
        print(f"torch: {name}", file=sys.stderr)
        results.append({"name": name, **measure(WORKS[name](args.device), args.device, args.seconds)})
    device = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    threads = torch.get_num_threads()
    document = {"peer": "torch", "version": torch.__version__, "device": device, "threads": threads}
    print(json.dumps({**document, "results": results}, indent=1))


if __name__ == "__main__":
    main()
