#!/usr/bin/env bash
# Runs the same work here and in other programs, in turn, and prints how they compare: on a GPU that PyTorch has CUDA for,
# PyTorch on it; elsewhere PyTorch and onnxruntime on the CPU; and burn's wgpu backend on either.
#
#   benches/peers/run.sh [--write] [FOLDER]
#
# Results go to FOLDER (a temporary one by default): every measurement as JSON, the tables as report.md and report.json.
# --write puts the tables into docs/performance.md as well.
#   PEERS_VENV    a ready Python environment with torch, torchvision, onnx, onnxruntime, numpy; else one is made in FOLDER
#   PEERS_BUILT   a folder with the ready programs protoseg and burn-peer, for a machine that cannot build them
#   PEERS_BURN    a folder for burn's build (tens of minutes the first time); "no" leaves burn out
#   PEERS_ROUNDS  how many times everything is run in turn (3); the best of all rounds counts
#   PEERS_SECONDS time spent on each piece of work in each round (1)
set -euo pipefail
peers=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$peers/../.." && pwd)
write=()
if [[ ${1:-} == --write ]]; then
    write=(--write "$root/docs/performance.md")
    shift
fi
out=${1:-$(mktemp -d)}
mkdir -p "$out/raw"
rounds=${PEERS_ROUNDS:-3}
seconds=${PEERS_SECONDS:-1}
note() { echo "== $(date +%H:%M:%S) $*" >&2; }

venv=${PEERS_VENV:-$out/venv}
if [[ ! -x $venv/bin/python ]]; then
    note "Python packages, into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch torchvision onnx onnxruntime numpy
fi
python=$venv/bin/python

burn_target=${PEERS_BURN:-$out/burn-target}
if [[ -n ${PEERS_BUILT:-} ]]; then
    protoseg=$PEERS_BUILT/protoseg
    burn=$PEERS_BUILT/burn-peer
else
    note "building"
    cargo build --release --quiet --manifest-path "$root/Cargo.toml"
    protoseg=$(cargo metadata --format-version 1 --no-deps --manifest-path "$root/Cargo.toml" |
        "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/protoseg
    burn=$burn_target/release/burn-peer
    if [[ $burn_target != no ]]; then
        cargo build --release --quiet --manifest-path "$peers/burn/Cargo.toml" --target-dir "$burn_target"
    fi
fi
ours() { "$protoseg" bench --json --seconds "$seconds" "$@"; }
cuda=$("$python" -c 'import torch; print(int(torch.cuda.is_available()))')

# measure NAME COMMAND...: one JSON document of this round. What fails is left out and said.
round=0
measure() {
    local file=$out/raw/$1.$round.json
    shift
    note "round $round: $*"
    "$@" >"$file" 2>>"$out/log.txt" || { note "failed, see $out/log.txt: $*"; rm -f "$file"; }
}
torch() { "$python" "$peers/torch_peer.py" --seconds "$seconds" "$@"; }
onnx() { "$python" "$peers/onnx_peer.py" --seconds "$seconds" "$@"; }

products=(gemm-512 gemm-1024 gemm-16384x256x190 gemm-43200x96x24)
convolutions=(conv3x3 conv3x3-gradients depthwise3x3 depthwise3x3-gradients)
kernels=("${products[@]}" "${convolutions[@]}" sinkhorn-10000x10)
heads=(head-step-11 head-step-150)
while ((++round <= rounds)); do
    measure ours-kernels ours "${kernels[@]}"
    if ((cuda)); then
        measure ours-works ours "${heads[@]}" infer-mobilenet train-mobilenet
        measure cuda torch --device cuda "${kernels[@]}" "${heads[@]}" infer-mobilenet train-mobilenet
    else
        measure torch1-kernels torch --threads 1 "${kernels[@]}"
        measure torch-kernels torch "${kernels[@]}"
        measure ours-heads ours "${heads[@]}"
        measure torch1-heads torch --threads 1 "${heads[@]}"
        measure torch-heads torch "${heads[@]}"
        measure ours-infer ours infer-mobilenet
        measure torch-infer torch infer-mobilenet
        measure onnx-infer onnx
        measure ours-train ours train-mobilenet
        measure torch-train torch train-mobilenet
    fi
    # Burn's convolutions take seconds each, so it runs once, between two of ours.
    if ((round == 1)) && [[ $burn_target != no ]]; then
        measure burn-kernels "$burn" --seconds "$seconds" "${products[@]}" "${convolutions[@]}"
        measure ours-again ours "${products[@]}" "${convolutions[@]}"
    fi
done
round=0
measure ours-many ours head-step-847
measure ours-start ours start
measure ours-all ours $("$protoseg" ops | awk '{print $1}')
"$python" "$peers/report.py" "$out" "${write[@]}"
note "everything is in $out"
