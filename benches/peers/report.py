#!/usr/bin/env python3
"""Makes the tables of docs/performance.md out of what run.sh has measured.

    report.py FOLDER [--write docs/performance.md]

Prints Markdown, writes FOLDER/report.md and FOLDER/report.json; with --write, replaces what stands between the two marks
of its kind of adapter, GPU or software, in the given file.
"""

import argparse
import json
import platform
import sys
from pathlib import Path



def marks(software):
    """What the tables stand between."""
    kind = "software adapter" if software else "GPU"
    return f"<!-- tables of a {kind}: made by benches/peers/run.sh --write -->", f"<!-- end of the tables of a {kind} -->"


def load(folder):
    """The best of all rounds by program and workload, the operations, and what else the documents tell."""
    best, operations, facts = {}, [], {}
    for path in sorted((folder / "raw").glob("*.json")):
        document = json.loads(path.read_text())
        if "peer" not in document:
            who = "ours"
            facts.setdefault("ours", {k: document[k] for k in ("version", "adapter", "variant", "software")})
            if document.get("start"):
                facts["start"] = document["start"]
            if path.name.startswith("ours-all"):
                operations, facts["peak"] = document["results"], document["peak"]
        else:
            who = document["peer"]
            if who == "torch" and document["device"] != "CPU":
                who = "cuda"
            elif who == "torch" and path.name.startswith("torch1-"):
                who = "torch1"
            facts.setdefault(who, {k: document[k] for k in ("version", "device", "threads") if k in document})
        for result in document["results"]:
            if result.get("case"):
                continue
            known = best.setdefault(result["name"], {}).setdefault(who, dict(result))
            for key in ("best_secs", "median_secs", "cpu_secs", "host_secs"):
                if result.get(key) is not None:
                    known[key] = min(known[key], result[key])
            # The first call with an empty cache is the longest.
            if "first_secs" in result:
                known["first_secs"] = max(known["first_secs"], result["first_secs"])
    return best, operations, facts


def ratio(best, name, peers, key):
    """Time of the fastest of the peers over ours: above 1, ours is faster."""
    row = best.get(name, {})
    ours = row.get("ours", {}).get(key)
    theirs = [row[peer][key] for peer in peers if row.get(peer, {}).get(key)]
    return min(theirs) / ours if ours and theirs else None


def goals(best, facts):
    """(work, against, goal as text, per core, wall, the one of the two that the goal is about, whether it is met)."""
    software = facts["ours"]["software"]
    table = []

    def add(name, peer, label, least, per_core):
        # Small work is faster on one thread, above all where others keep a core busy that a team of threads waits for.
        peers = ("torch", "torch1") if peer == "torch" else (peer,)
        core = ratio(best, name, peers, "cpu_secs") if software and peer != "cuda" else None
        wall = ratio(best, name, peers, "best_secs")
        counts = core if per_core and software else wall
        met = None if counts is None else counts >= least
        table.append({"work": name, "against": label, "goal": least, "per_core": core, "wall": wall, "met": met})

    if software:
        for name in [n for n in best if n.startswith("gemm")]:
            add(name, "torch1", "torch, 1 thread, per core", 0.30, True)
        add("conv3x3", "torch1", "torch, 1 thread, per core", 0.30, True)
        add("conv3x3-gradients", "torch1", "torch, 1 thread, per core", 0.25, True)
        add("depthwise3x3", "torch1", "torch, 1 thread, per core", 0.5, True)
        add("depthwise3x3-gradients", "torch1", "torch, 1 thread, per core", 0.5, True)
        for name in [n for n in best if n.startswith("gemm")]:
            add(name, "burn", "burn, per core", 4, True)
        add("conv3x3", "burn", "burn, per core", 12, True)
        add("conv3x3-gradients", "burn", "burn, per core", 8, True)
        add("sinkhorn-10000x10", "torch", "torch, one thread or all, the faster, wall", 1, False)
        add("head-step-150", "torch", "torch, one thread or all, the faster, wall", 1, False)
        add("train-mobilenet", "torch", "torch, all cores, wall", 0.35, False)
        add("infer-mobilenet", "onnxruntime", "onnxruntime, all cores, wall", 0.3, False)
    else:
        for name in [n for n in best if n.startswith("gemm")]:
            add(name, "burn", "burn, wall", 4, False)
        add("conv3x3", "burn", "burn, wall", 12, False)
        add("conv3x3-gradients", "burn", "burn, wall", 8, False)
        add("head-step-150", "cuda", "torch CUDA", 10, False)
        add("train-mobilenet", "cuda", "torch CUDA", 1, False)
        add("infer-mobilenet", "cuda", "torch CUDA", 1, False)
    return table


def own_goals(best, facts):
    """Goals that are about this program alone: (what, found, goal, met)."""
    ours = {name: row["ours"] for name, row in best.items() if "ours" in row}
    rows = []
    steps = [ours.get(f"head-step-{c}") for c in (11, 150, 847)]
    if all(steps):
        key = "cpu_secs" if facts["ours"]["software"] else "best_secs"
        few, some, many = (step[key] for step in steps)
        slopes = ((some - few) / (150 - 11) * 1e3, (many - some) / (847 - 150) * 1e3)
        flops = [(b["flops"] - a["flops"]) / d for a, b, d in ((steps[0], steps[1], 139), (steps[1], steps[2], 697))]
        digits = 2 if facts["ours"]["software"] else 4
        text = f"{slopes[0]:.{digits}f} ms per class from 11 to 150, {slopes[1]:.{digits}f} from 150 to 847"
        text += f" ({flops[0] / slopes[0] / 1e6:.1f} and {flops[1] / slopes[1] / 1e6:.1f} GFLOP/s)"
        unit = "processor time" if key == "cpu_secs" else "time"
        rows.append((f"{unit} of the head's step over C", text, "linear", slopes[1] <= 1.15 * slopes[0]))
        sizes = [step["plan_bytes"] / 2**20 for step in steps]
        text = ", ".join(f"{size:.0f}" for size in sizes) + " MiB with C = 11, 150, 847"
        # Prototypes, their sums in the update, and per class some numbers; a dense matrix would be 530 MiB more.
        few, some, many = (step["plan_bytes"] / (10 * 256 * 4) for step in steps)
        grown = ((some - few) / 139, (many - few) / 836)
        text += f": {grown[0]:.1f} and {grown[1]:.1f} x the prototypes added to the first"
        rows.append(("memory of the head's step", text, "prototypes only", max(grown) < 3))
    single = ours.get("sinkhorn-10000x10")
    if single and not facts["ours"]["software"]:
        took = 1e3 * single["best_secs"]
        rows.append(("Sinkhorn, 10,000 x 10, 3 rounds", f"{took:.3f} ms with its submission", "<= 0.05 ms", took <= 0.05))
    step = ours.get("train-mobilenet")
    if step:
        share = 100 * step["host_secs"] / step["best_secs"]
        text = f"{share:.1f} % ({1e3 * step['host_secs']:.1f} ms of {1e3 * step['best_secs']:.1f}), uploads included"
        rows.append(("host time of a training step", text, "< 5 %", share < 5))
    if facts.get("start"):
        first, second = (facts["start"][k]["total_secs"] for k in ("first", "second"))
        text = f"{first:.2f} s, then {second:.2f} s ({second / first:.2f} of it)"
        rows.append(("first start, second start", text, "second <= 1/3", second <= first / 3))
    return rows


def verdict(met):
    return {True: "met", False: "missed", None: "not measured"}[met]


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def markdown(best, operations, facts, found, own):
    ours = facts["ours"]
    lines = [f"Adapter: {ours['adapter']}, kernels {ours['variant']}; protoseg {ours['version']}, {platform.machine()}."]
    names = {"torch": "torch", "torch1": "torch", "cuda": "torch CUDA", "onnxruntime": "onnxruntime", "burn": "burn"}
    versions = sorted({f"{names[who]} {facts[who]['version']}" for who in names if who in facts})
    lines += [f"Peers: {', '.join(versions)}.", "", "**Against others** (time of the other over ours: above 1, ours is faster)", ""]
    software = ours["software"]
    rows = []
    for g in found:
        core = [number(g["per_core"])] if software else []
        rows.append([g["work"], g["against"], f">= {g['goal']:g}", *core, number(g["wall"]), verdict(g["met"])])
    lines += table(["work", "against", "goal", *(["per core"] if software else []), "wall", ""], rows)
    lines += ["**On its own**", ""]
    lines += table(["what", "found", "goal", ""], [[a, b, c, verdict(d)] for a, b, c, d in own])
    lines += [f"**Times** (best of all rounds, in ms{'; per core = processor time' if software else ''})", ""]
    peers = [who for who in ("torch1", "torch", "cuda", "onnxruntime", "burn") if who in facts]
    labels = {"torch1": "torch, 1 thread, per core", "torch": "torch, all cores, wall"}
    burn = "burn, per core (first call, s)" if software else "burn (first call, s)"
    labels |= {"cuda": "torch CUDA", "onnxruntime": "onnxruntime, wall", "burn": burn}
    head = ["work", *(["per core", "wall", "GFLOP/s per core"] if software else ["ours", "GFLOP/s"])]
    head += [labels[who] for who in peers]
    # By what rates and single kernels count.
    clock = "cpu_secs" if software else "best_secs"
    rows = []
    for name, row in best.items():
        mine = row.get("ours")
        if not mine:
            continue
        digits = 2 if software else 3
        ms = lambda who, key: number(1e3 * row[who][key] if who in row and row[who].get(key) else None, digits)
        cells = [name, *([ms("ours", "cpu_secs")] if software else []), ms("ours", "best_secs")]
        cells.append(number(mine["flops"] / mine[clock] / 1e9 if mine.get(clock) else None, 1))
        for who in peers:
            cell = ms(who, clock if who in ("torch1", "burn") else "best_secs")
            if who == "burn" and who in row:
                cell += f" ({row[who]['first_secs']:.1f})"
            cells.append(cell)
        rows.append(cells)
    lines += table(head, rows)
    if operations:
        peak = facts["peak"]["cpu"] or facts["peak"]["wall"]
        unit = " per core" if facts["peak"]["cpu"] else ""
        lines += [
            f"**Operations** (`protoseg bench`; the adapter's measured peak: {peak['gb_per_sec']:.1f} GB/s of copy and "
            f"{peak['gflops']:.1f} GFLOP/s of multiply-add{unit}; rates{unit}; above 100 % where the data stay in the cache)",
            "",
        ]
        rows = []
        for o in operations:
            rates = o["cpu_rates"] or o
            case = o["case"] + (" + gradients" if o["direction"] == "gradients" else "")
            cells = [o["name"], case, number(1e3 * o["best_secs"], 3), number(1e3 * o["median_secs"], 3)]
            # What the work took of its device: on a GPU the device's own clock, beside which a submission is left out.
            third = o["cpu_secs"] if software else o.get("device_secs")
            cells += [number(1e3 * third if third else None, 3), number(rates["gflops"], 1)]
            rows.append(cells + [number(rates["gb_per_sec"], 1), f"{100 * o['share_of_peak']:.0f} %"])
        third = "cpu ms" if software else "device ms"
        lines += table(["operation", "size", "best ms", "median ms", third, "GFLOP/s", "GB/s", "of peak"], rows)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, metavar="FILE")
    args = parser.parse_args()
    best, operations, facts = load(args.folder)
    if "ours" not in facts:
        sys.exit(f"{args.folder}/raw holds no measurement of protoseg")
    found, own = goals(best, facts), own_goals(best, facts)
    text = markdown(best, operations, facts, found, own)
    (args.folder / "report.md").write_text(text)
    document = {"facts": facts, "goals": found, "own": own, "works": best, "operations": operations}
    (args.folder / "report.json").write_text(json.dumps(document, indent=1))
    print(text)
    if args.write:
        page = args.write.read_text()
        first, last = marks(facts["ours"]["software"])
        if first not in page or last not in page:
            sys.exit(f"{args.write} lacks the marks {first} and {last}")
        before, after = page.split(first)[0], page.split(last)[1]
        args.write.write_text(f"{before}{first}\n\n{text}\n{last}{after}")


if __name__ == "__main__":
    main()
