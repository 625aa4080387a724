"""All GPU measurements in one run.

    python -m benchmarks.gpu --data DIR [--out results/gpu] [--budget 660] [--parts step kernel ...]
    python -m benchmarks.gpu --data DIR --device cpu --tiny     # a rehearsal

Prints one table and writes ``gpu.json`` after every measurement; Table 2 and Figure 9 go into the
same folder. A measurement that fails is a row with its error; none begins after the budget.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.gpu.kernels import measure_kernels, measure_psi
from benchmarks.gpu.log import Log, line_of
from benchmarks.gpu.ode import measure_ode
from benchmarks.gpu.steps import BF16, FLOAT32, measure_steps
from benchmarks.gpu.training import decode, measure_experiments, measure_rates

PARTS = ("step", "kernel", "psi", "ode", "rate", "float32", "figures")
FOR_FIGURES = 0.59  # share of the budget that is kept for trainings


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="digits", help="a folder of images, or a name")
    parser.add_argument("--root", default="", help="where decoded images are kept")
    parser.add_argument("--out", type=Path, default=Path("results/gpu"))
    parser.add_argument("--budget", type=float, default=660.0, help="seconds")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes, to rehearse")
    options = parser.parse_args()
    log = Log(options.out / "gpu.json", options.budget, torch.device(options.device))
    torch.backends.cudnn.benchmark = True
    root, tiny = options.root or str(options.out / "cache"), options.tiny
    if {"rate", "figures"} & {*options.parts}:
        decode(log, options.data, root)
    kept = FOR_FIGURES * options.budget if "figures" in options.parts else 0.0
    bf16, float32 = (BF16[:1], FLOAT32[:1]) if tiny else (BF16, FLOAT32)
    parts = {
        "step": lambda: measure_steps(log, bf16, half=True, tiny=tiny, needs=kept + 40),
        "kernel": lambda: measure_kernels(log, tiny=tiny),
        "psi": lambda: measure_psi(log),
        "ode": lambda: measure_ode(log, tiny=tiny),
        "rate": lambda: measure_rates(log, options.data, root, tiny=tiny),
        "float32": lambda: measure_steps(log, float32, half=False, tiny=tiny, needs=kept),
        "figures": lambda: measure_experiments(log, options.data, root, options.out, tiny=tiny),
    }
    for part in PARTS:
        if part in options.parts:
            parts[part]()
    print(f"\n{'':8} {'':44} {options.budget - log.left:.0f} s in all")
    for row in log.rows:
        print(line_of(row))


if __name__ == "__main__":
    main()
