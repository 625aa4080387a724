"""Tables of the benchmarks, from benchmarks/results: ratios to named peers, and the machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.manual.markdown import literal, table

__all__ = ["benchmark_tables"]

METHODS = {
    "plain": "plain",
    "checkpoint": "checkpoint",
    "odemom": "odemom",
    "momentumnet": "momentumnet",
    "memcnn": "MemCNN",
}
WAYS = ("forward", "back")
NETWORKS = {"mlp": "perceptron", "conv16": "16 channels", "conv64": "64 channels"}


def benchmark_tables(folder: Path) -> dict[str, str]:
    """The tables, by their paths in docs/; a page includes each where it speaks of it.

    Parameters
    ----------
    folder : Path
        Of the results.
    """
    makers = {
        "psi": _psi,
        "decision": _ratios,
        "decision-sympy": _sympy,
        "reversible": _reversible,
        "reversible-bookkeeping": _bookkeeping,
        "peaks": _peaks,
        "ode": _ode,
        "gpu": _gpu,
        "zoo": _zoo,
        "explore": _explore,
    }
    pages = {}
    for name, make in makers.items():
        path = folder / f"{name.partition('-')[0]}.json"
        results = json.loads(path.read_text(encoding="utf-8"))
        pages[f"made/benchmark-{name}.md"] = f"{make(results)}\n\n{_machine(results)}\n"
    return pages


def _machine(results: Mapping[str, Any]) -> str:
    """Where a result was measured, in a line."""
    named = results.get("machine", results.get("cpu"))
    if isinstance(named, dict):
        words = [f"{key} {value}" for key, value in named.items()]
    else:
        versions = results.get("versions", {})
        cores = results.get("cpu_count")
        words = [str(named), *([f"{cores} cores"] if cores else [])]
        words += [f"{key} {value}" for key, value in versions.items()]
    threads = results.get("threads")
    if threads:
        limit = threads if isinstance(threads, str) else next(iter(threads.values()))
        words.append(f"threads: {limit}")
    if "date" in results:
        words.append(str(results["date"])[:10])
    return f"*Measured on:* {literal(', '.join(words))}."


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _megabytes(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:,.0f}"


def _psi(results: Mapping[str, Any]) -> str:
    """One matrix of each size beside all its peers; then the other ratios."""
    sizes = [r for r in results["ratios"] if r["name"].startswith("psi, d =")]
    others = [r for r in results["ratios"] if r not in sizes]
    peers = list(dict.fromkeys(r["peer"] for r in sizes))
    found = {(r["name"], r["peer"]): r["median"] for r in sizes}
    rows = [
        [literal(name.removeprefix("psi, ")), *(_times(found.get((name, p))) for p in peers)]
        for name in dict.fromkeys(r["name"] for r in sizes)
    ]
    short = [p.removeprefix("scipy.linalg.").removeprefix("torch.linalg.") for p in peers]
    head = ["one matrix", *map(literal, short)]
    return f"{table(head, rows, numbers=len(peers))}\n\n{_ratios({'ratios': others})}"


def _ratios(results: Mapping[str, Any]) -> str:
    rows = [
        [
            literal(r["name"]),
            literal(r["peer"]),
            _times(r["median"]),
            f"{_times(r['low'])} to {_times(r['high'])}",
        ]
        for r in results["ratios"]
    ]
    return table(["what", "peer", "peer's time / ours", "quartiles"], rows, numbers=2)


def _sympy(results: Mapping[str, Any]) -> str:
    rows = [
        [
            str(entry["d"]),
            f"{1e3 * entry['ours_seconds']:.2g} ms",
            literal(_outcome(entry["sympy"])),
        ]
        for entry in results["sympy_on_random_integers"]
    ]
    return table(["d", "odemom", "SymPy's jordan_form"], rows)


def _outcome(of_sympy: Mapping[str, Any]) -> str:
    if of_sympy["outcome"] == "answered":
        return f"{1e3 * of_sympy['seconds']:.2g} ms"
    return str(of_sympy["outcome"])


def _reversible(results: Mapping[str, Any]) -> str:
    rows = []
    for case, name in NETWORKS.items():
        for depth, found in results.get(case, {}).items():
            for part, unit in (("time / plain", "time / plain"), ("peak", "peak, MB")):
                cells = [_cell(found[part].get(m)) for m in METHODS]
                rows.append([f"{name}, {depth} layers", unit, *cells])
    return table(["network", "", *METHODS.values()], rows, numbers=len(METHODS))


def _bookkeeping(results: Mapping[str, Any]) -> str:
    """The integer work of a layer beside a pass that moves the same bytes, for each build."""
    builds = {"native": results, **{k: v for k, v in results.items() if k.startswith("x86-64")}}
    rows = [
        [literal(build), literal(case), *(_times(found[f"{way} / move"]) for way in WAYS)]
        for build, measured in builds.items()
        for case, found in measured["bookkeeping"].items()
    ]
    return table(["built for", "kernel, elements", "forward", "back"], rows, numbers=2)


def _cell(found: Any) -> str:
    """A ratio with its quartiles, or a number of bytes."""
    return _times(found["median"]) if isinstance(found, dict) else _megabytes(found)


def _peaks(results: Mapping[str, Any]) -> str:
    rows = []
    for name, ways in results.items():
        if isinstance(ways, dict):
            plain = ways["plain"]
            for way, found in ways.items():
                cells = [_megabytes(found["peak"]), _times(found["peak"] / plain["peak"])]
                for peer in ("plain", "checkpoint"):
                    ratio = found.get(f"seconds / {peer}")
                    cells.append("-" if ratio is None else _spread(ratio))
                rows.append([literal(name), way, *cells])
    head = ["network", "step", "peak, MB", "peak / plain", "time / plain", "time / checkpoint"]
    return table(head, rows, numbers=4)


def _spread(ratio: Mapping[str, float]) -> str:
    """A median with its quartiles."""
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def _ode(results: Mapping[str, Any]) -> str:
    rows = [
        [literal(name), _megabytes(found["reversible"]), _megabytes(found["backprop"]) or "-"]
        for name, found in results["memory"].items()
    ]
    memory = table(["scheme", "reversible, MB", "backprop, MB"], rows, numbers=2)
    times = [
        [literal(name), f"{found['median']:.2f}", f"{found['low']:.2f} to {found['high']:.2f}"]
        for name, found in results["time"].items()
    ]
    head = ["reversible scheme", "time / checkpointing", "quartiles"]
    return f"{memory}\n\n{table(head, times, numbers=2)}"


def _gpu(results: Mapping[str, Any]) -> str:
    """Every step that was tried, and beside it the replay of its graph."""
    steps = {row["name"]: row for row in results["rows"] if row["part"] == "step"}
    rows = []
    for name, row in steps.items():
        if name.endswith(" graph"):
            continue
        graph = steps[f"{name} graph"]
        times = [_times(found[key]) for key in ("ms", "ms / plain") for found in (row, graph)]
        peak = f"{row['peak_mb']:,.0f}"
        rows.append([literal(name), *times, peak, _times(row["peak_mb / plain"])])
    head = ["network, images a step", "ms", "in a graph", "time / plain", "in a graph"]
    return table([*head, "peak without a graph, MB", "peak / plain"], rows, numbers=6)


def _zoo(results: Mapping[str, Any]) -> str:
    verdicts = Counter(trial["verdict"] for trial in results["trials"])
    libraries = Counter(trial["library"] for trial in results["trials"])
    differences = sum(bool(trial["differences"]) for trial in results["trials"])
    rows = [["networks tried", ", ".join(f"{n} of {name}" for name, n in libraries.items())]]
    rows += [[verdict, str(count)] for verdict, count in verdicts.items()]
    rows.append(["with a silent difference", str(differences)])
    return table(["", "networks"], rows)


def _explore(results: Mapping[str, Any]) -> str:
    """Until the decision stands on the screen, and until all does; and the same page of marimo."""
    rows = [
        [literal(name), *(_milliseconds(found[part]) for part in ("decision", "everything"))]
        for name, found in results["ms"].items()
    ]
    head = ["D", "decision, ms (quartiles)", "everything, ms"]
    marimo = results["marimo"]
    ratio, load = marimo["ratio"], results["load"][0]
    return (
        f"{table(head, rows, numbers=2)}\n\nMedians of {ratio['changes']} changes of ε in Chromium "
        f"{results['browser']}, from the key to the frame, while the machine did other work (load "
        f"{load:.0f}). The same answers on a page of marimo, {literal(marimo['case'])}, take "
        f"{ratio['median']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f}) times as long as "
        f"everything here, key by key in turn: {marimo['theirs']['median']:.0f} ms."
    )


def _milliseconds(found: Mapping[str, float]) -> str:
    return f"{found['median']:.0f} ({found['low']:.0f} to {found['high']:.0f})"
