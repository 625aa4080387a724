"""Reversible ODE solvers: accuracy per evaluation, gradients, memory and time of a training step.

    python -m benchmarks.ode [--cases accuracy gradient memory time] [--quick] [--out DIR]

Writes ``ode.json``. Accuracy stands beside plain Runge-Kutta methods at equal evaluations; time
beside `torch.utils.checkpoint` over sqrt(steps) segments of the same scheme in floats.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmarks.harness import compare, processor
from benchmarks.resident import ask, peak_of
from odemom.nn import ODEBlock
from odemom.nn.ode.schemes import TABLEAUX, Coupled, default_damping

EVALUATIONS = (32, 128, 512)
STEPS = (10, 100, 1000, 10_000)
METHODS = ("rk4", "midpoint", "euler")
WIDTH = 16


def network(width: int, hidden: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A field with a tanh."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width)).to(dtype)


def problems() -> dict[str, tuple[nn.Module | Callable, int, float, float]]:
    """Fields with order, eps and horizon."""
    field = network(WIDTH, 32)
    return {
        "x' = net(x)": (field, 1, 1.0, 1.0),
        "x' = net(x), T = 5": (field, 1, 1.0, 5.0),
        "x' = -5 x": (lambda x: -5 * x, 1, 1.0, 1.0),
        "eps = 1/2": (field, 2, 0.5, 1.0),
        "eps = 1/20": (field, 2, 0.05, 1.0),
        "x'' = net(x)": (field, 2, math.inf, 1.0),
    }


def schemes(order: int) -> dict[str, tuple[str, int]]:
    """Methods with their evaluations a step."""
    plain = {m: (m, len(TABLEAUX[m].b)) for m in METHODS}
    coupled = {f"reversible {m}": (f"reversible_{m}", 2 * len(TABLEAUX[m].b)) for m in METHODS}
    return plain | coupled | ({"leapfrog": ("leapfrog", 1)} if order == 2 else {})


def accuracy() -> dict:
    """The relative error of x(T) by scheme, at equal evaluations."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, WIDTH, generator=generator, dtype=torch.float64)
    result: dict = {}
    for name, (f, order, eps, horizon) in problems().items():
        problem: dict[str, Any] = {"order": order, "horizon": horizon}
        problem |= {"eps": eps} if order == 2 else {}
        exact = ODEBlock(f, **problem, method="dopri8", rtol=1e-12, atol=1e-13)
        with torch.no_grad():
            reference = exact(x)
        rows = result.setdefault(name, {})
        for label, (method, a_step) in schemes(order).items():
            rows[label] = []
            for count in EVALUATIONS:
                step = {"step_size": horizon / (count // a_step)}
                block = ODEBlock(f, **problem, method=method, options=step)
                with torch.no_grad():
                    rows[label].append(float((block(x) - reference).norm() / reference.norm()))
            errors = "  ".join(f"{e:.0e}" for e in rows[label])
            print(f"{name:20s} {label:20s} {errors}", flush=True)
    return result


def gradient(quick: bool) -> dict:
    """The reversible gradient against plain autograd through the same scheme, float64."""
    field, result = network(4, 8), {}
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 4, generator=generator, dtype=torch.float64).requires_grad_()
    for method in (*METHODS, "leapfrog"):
        name = method if method == "leapfrog" else f"reversible_{method}"
        for order in (1, 2) if method != "leapfrog" else (2,):
            for steps in STEPS[: 2 if quick else None]:
                found = []
                for way in ("reversible", "backprop"):
                    block = ODEBlock(
                        field, order, method=name, options={"step_size": 1 / steps}, gradient=way
                    )
                    y = block(x).square().sum()
                    found.append(torch.autograd.grad(y, [x, *field.parameters()]))
                pairs = zip(*found, strict=True)
                worst = max(float((a - b).norm() / b.norm()) for a, b in pairs)
                result[f"{method}, order {order}, {steps} steps"] = worst
                print(f"{method}, order {order}, {steps} steps: {worst:.1e}", flush=True)
    return result


def peak(method: str, steps: int, way: str) -> float:
    """Bytes by which a training step raises the peak of a fresh process."""
    return ask("benchmarks.ode", "--peak", json.dumps([method, steps, way]))


def peak_here(method: str, steps: int, way: Any) -> float:
    """The same in this process, which does nothing else."""
    field, x = network(64, 64, torch.float32), torch.randn(4096, 64)
    block = ODEBlock(field, 1, method=method, options={"step_size": 1 / steps}, gradient=way)
    torch.relu(field(x)).sum().backward()
    return peak_of(field, lambda: block(x).sum().backward())["peak"]


def memory(quick: bool) -> dict:
    """The peak by the number of steps."""
    result: dict = {}
    for method in ("reversible_rk4", "reversible_euler"):
        for steps in (10, 100) if quick else (10, 100, 1000):
            ours = peak(method, steps, "reversible")
            plain = peak(method, steps, "backprop") if steps <= 100 else None
            result[f"{method}, {steps} steps"] = {"reversible": ours, "backprop": plain}
            beside = "" if plain is None else f", plain autograd {plain / 1e6:.0f} MB"
            print(f"{method}, {steps} steps: {ours / 1e6:.1f} MB{beside}", flush=True)
    return result


def segments(field: nn.Module, scheme: Coupled, x: Tensor) -> Tensor:
    """The scheme in floats, checkpointed over sqrt(steps) segments."""
    damping = float(scheme.damping)

    def run(first: int, last: int, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        for n in range(first, last):
            (forth,) = scheme.value(2 * n, lambda t, parts: (field(parts[0]),), (z,))
            y = z + (damping * (y - z)).add(forth, alpha=scheme.h)
            (back,) = scheme.value(2 * n + 1, lambda t, parts: (field(parts[0]),), (y,))
            z = z.add(back, alpha=scheme.h)
        return y, z

    count = round(math.sqrt(scheme.steps))
    y = z = x
    for first, last in pairwise(round(k * scheme.steps / count) for k in range(count + 1)):
        y, z = checkpoint(run, first, last, y, z, use_reentrant=False)
    return y


def time(quick: bool) -> dict:
    """A training step beside checkpointing."""
    result: dict = {}
    steps = 36 if quick else 100
    for width, hidden, batch in ((64, 128, 128), (256, 512, 256)):
        field, x = network(width, hidden, torch.float32), torch.randn(batch, width)
        for method in METHODS:
            damping = default_damping(1 / steps, 1.0, None)
            scheme = Coupled(0.0, 1.0, steps, TABLEAUX[method], damping)
            block = ODEBlock(
                field, 1, method=method, options={"step_size": 1 / steps}, gradient="reversible"
            )
            ratio = compare(
                f"{method}, width {width}",
                lambda block=block, x=x: block(x).sum().backward(),
                "checkpointing",
                lambda f=field, s=scheme, x=x: segments(f, s, x).sum().backward(),
                rounds=3 if quick else 9,
            )
            low, median, high = 1 / ratio.high, 1 / ratio.median, 1 / ratio.low
            result[ratio.name] = {"median": median, "low": low, "high": high}
            print(
                f"{ratio.name}: {median:.2f} [{low:.2f}, {high:.2f}] of checkpointing, "
                f"{1e6 * ratio.ours / steps:.0f} us a step",
                flush=True,
            )
    return result


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = ("accuracy", "gradient", "memory", "time")
    parser.add_argument("--cases", nargs="+", default=names, choices=names)
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:
        print(peak_here(*json.loads(args.peak)))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    target = args.out / "ode.json"
    results = json.loads(target.read_text()) if target.exists() else {}
    results["machine"] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    runs = {"gradient": gradient, "memory": memory, "time": time}
    for name in args.cases:
        results[name] = accuracy() if name == "accuracy" else runs[name](args.quick)
        target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
