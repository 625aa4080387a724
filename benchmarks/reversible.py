"""Time and memory of a training step: plain autograd, checkpointing, momentumnet, memcnn, odemom.

    python -m benchmarks.reversible [--cases bookkeeping mlp conv16 ...] [--march x86-64-v3]
                                    [--quick] [--out DIR]

Prints ratios with their quartiles, writes them to ``reversible.json``, those of a build for another
processor under its name, and draws ``reversible.png``. momentumnet and memcnn come with the extra
``bench`` and are left out, with a line that says so, where they are not installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
from pathlib import Path

from benchmarks import resident
from benchmarks.harness import processor

PEERS = ("momentumnet", "memcnn")
CASES = {
    "mlp": (10, 30, 100, 300),
    "conv16": (18, 54, 300),
    "conv64": (18, 54),
    "resnet101": (101,),
}
REPEATS = {"mlp": 9, "conv16": 7, "conv64": 5, "resnet101": 3}


def ask(request: dict) -> dict:
    """The worker's answer, from a fresh process."""
    return resident.ask("benchmarks._reversible_worker", json.dumps(request))


def spread(ratios: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = (
        statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    )  # fmt: skip
    return {"median": middle, "low": low, "high": high}


def installed() -> list[str]:
    """The peers that can be imported; the others are named."""
    found = [peer for peer in PEERS if importlib.util.find_spec(peer)]
    for peer in sorted(set(PEERS) - set(found)):
        print(f"{peer} is not installed and is left out: pip install 'odemom[bench]'")
    return found


def bookkeeping(march: str | None) -> dict:
    """The integer work alone, both kernels, beside passes that only move the same bytes."""
    result = {}
    for kernel, radix in (("fused", 160), ("fused", 2**48), ("eager", 160)):
        for size in (250_000, 4_000_000):
            request = {"kind": "bookkeeping", "kernel": kernel, "size": size, "layers": 60}
            answer = ask({**request, "radix": radix, "march": march})
            found = {part: statistics.median(values) for part, values in answer.items()}
            for part in ("forward", "back"):
                pairs = zip(answer[part], answer[f"move_{part}"], strict=True)
                found[f"{part} / move"] = statistics.median(a / b for a, b in pairs)
            full = "" if radix == 160 else ", a full buffer"
            result[f"{kernel} {size}{full}"] = found
            print(
                f"bookkeeping, {kernel}, {size} elements{full}: {found['forward']:.2f} ns an "
                f"element and layer forward, {found['forward / move']:.2f} times a pass that moves "
                f"the same bytes, {found['back']:.2f} back, {found['back / move']:.2f} times; the "
                f"float update {found['plain']:.2f}",
                flush=True,
            )
    return result


def case(name: str, depth: int, peers: list[str], repeats: int, march: str | None) -> dict:
    """Ratios to plain autograd (memcnn: also to its own) and to checkpointing."""
    methods = ["plain", "checkpoint", "odemom"]
    if name != "resnet101":
        methods += peers + (["memcnn_plain"] if "memcnn" in peers else [])
    request = {"kind": "times", "workload": name, "depth": depth, "methods": methods}
    seconds = ask({**request, "repeats": repeats, "march": march})
    peaks = {
        m: ask({"kind": "memory", "workload": name, "depth": depth, "method": m})["peak"]
        for m in methods
    }
    result: dict = {"seconds": {m: statistics.median(t) for m, t in seconds.items()}}
    result["peak"] = peaks
    for base in ("plain", "checkpoint", "memcnn_plain"):
        if base in seconds:
            result[f"time / {base}"] = {
                m: spread([a / b for a, b in zip(t, seconds[base], strict=True)])
                for m, t in seconds.items()
            }
    print(f"{name}, depth {depth}:", flush=True)
    for m in methods:
        plain, check = (result[f"time / {base}"][m] for base in ("plain", "checkpoint"))
        print(
            f"  {m:12s} time {plain['median']:.2f} [{plain['low']:.2f}, {plain['high']:.2f}] of "
            f"plain, {check['median']:.2f} [{check['low']:.2f}, {check['high']:.2f}] of "
            f"checkpointing; peak {peaks[m] / 1e6:.1f} MB, {peaks[m] / peaks['plain']:.3f} of it",
            flush=True,
        )
    return result


def cifar(blocks: int) -> dict:
    """The 1,201-layer CIFAR network; plain autograd at two small depths, and extrapolated."""
    ours = ask({"kind": "cifar", "blocks": blocks, "reversible": True})
    small = [ask({"kind": "cifar", "blocks": b, "reversible": False})["peak"] for b in (5, 10)]
    slope = (small[1] - small[0]) / 5
    plain = small[1] + slope * (blocks - 10)
    print(
        f"CIFAR, {6 * blocks + 1} layers, batch 128: {ours['seconds']:.0f} s, peak "
        f"{ours['peak'] / 1e9:.2f} GB; plain autograd {plain / 1e9:.1f} GB (from 5 and 10 blocks a "
        f"stage: {small[0] / 1e9:.2f} and {small[1] / 1e9:.2f} GB)"
    )
    return {"ours": ours, "plain_small": small, "plain_extrapolated": plain}


def draw(results: dict, path: Path) -> None:
    """Figure 2 of the paper with the peers beside it: time and peak against depth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [n for n in ("mlp", "conv16", "conv64") if n in results]
    figure, axes = plt.subplots(2, len(names), figsize=(4 * len(names), 6), squeeze=False)
    for column, name in enumerate(names):
        depths = sorted(results[name], key=int)
        for method in results[name][depths[0]]["peak"]:
            peaks = [results[name][d]["peak"][method] / 1e6 for d in depths]
            ratios = [results[name][d]["time / plain"][method]["median"] for d in depths]
            axes[0, column].loglog([int(d) for d in depths], peaks, "o-", label=method)
            axes[1, column].semilogx([int(d) for d in depths], ratios, "o-", label=method)
        axes[0, column].set(title=name, ylabel="peak of a step, MB")
        axes[1, column].set(xlabel="depth", ylabel="time / plain")
    axes[0, 0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=["bookkeeping", *CASES, "cifar"])
    parser.add_argument("--quick", action="store_true", help="smallest depths, few repeats")
    parser.add_argument("--repeats", type=int, help="instead of the case's own")
    parser.add_argument("--blocks", type=int, default=200, help="of a stage of the CIFAR network")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--march", help="build the fused step for it, for example x86-64-v3")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    target = args.out / "reversible.json"
    results = json.loads(target.read_text()) if target.exists() else {}
    peers = [] if args.no_peers else installed()
    versions = {p: importlib.metadata.version(p) for p in ("torch", "odemom", *peers) if _known(p)}
    results["machine"] = {"processor": processor(), "cores": os.cpu_count(), **versions}
    found = results if args.march is None else results.setdefault(args.march, {})
    for item in args.cases:
        name, _, depth = item.partition(":")
        if name == "bookkeeping":
            found[name] = bookkeeping(args.march)
        elif name == "cifar":
            found[name] = cifar(2 if args.quick else args.blocks)
        else:
            depths = [int(depth)] if depth else CASES[name][: 1 if args.quick else None]
            repeats = args.repeats or (2 if args.quick else REPEATS[name])
            for d in depths:
                found.setdefault(name, {})[str(d)] = case(name, d, peers, repeats, args.march)
        target.write_text(json.dumps(results, indent=1) + "\n")
    if any(name in results for name in ("mlp", "conv16", "conv64")):
        draw(results, args.out / "reversible.png")


def _known(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
