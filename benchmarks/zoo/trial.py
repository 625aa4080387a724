"""One network of the zoo as a momentum twin: what is accepted, and whether it is right."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.zoo.double import double_throughout
from benchmarks.zoo.entry import Entry
from benchmarks.zoo.live import training_step
from benchmarks.zoo.oracle import momentum_network
from odemom.errors import OdemomError
from odemom.nn import transform, twin_report
from odemom.nn.transform import restore

__all__ = ["Trial", "try_out"]

GAMMA = 0.9
TOLERANCE = 1e-9
"""Of float64 gradients, on top of what rounding explains."""
SENSITIVE = 1e-10
"""Rounding beyond which gradients in evaluation mode are compared, too."""
AMPLIFIED = 64
"""How much larger a difference may be than that which moves of all parameters by 2^-50 make."""


@dataclass
class Trial:
    """What came of one network.

    Attributes
    ----------
    library, name : str
    parameters : int
    verdict : str
        "accepted", "no row" (of two blocks or more), "refused" or "failed".
    why : str
        Of a refusal, or what the twin warned of.
    rows : list of int
        Layers of each.
    share : float
        Of the parameters, in rows.
    errors : dict of str to float
        Relative: the twin against the oracle, its gradients against those of ``reversible=False``,
        and what rounding explains.
    evaluated : dict of str to float
        The same in evaluation mode, where batch norms on small batches amplify rounding.
    checks : dict of str to bool
        gamma = 0, restore, and the state dicts.
    memory : dict of str to float
        Of a training step in float32, "auto" part of plain.
    differences : list of str
        What rounding does not explain and the twin did not say.
    seconds : float
    """

    library: str
    name: str
    parameters: int = 0
    verdict: str = "accepted"
    why: str = ""
    rows: list[int] = field(default_factory=list)
    share: float = 0.0
    errors: dict[str, float] = field(default_factory=dict)
    evaluated: dict[str, float] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0


def try_out(entry: Entry) -> Trial:
    """Build a network and try its twin."""
    start = time.perf_counter()
    trial = Trial(entry.library, entry.name)
    try:
        _try_out(trial, entry)
    except Exception as error:  # whatever a network raises is a line of the table
        trial.verdict, trial.why = "failed", f"{type(error).__name__}: {str(error)[:200]}"
        trial.differences.append("failed")
    trial.seconds = time.perf_counter() - start
    return trial


def _try_out(trial: Trial, entry: Entry) -> None:
    torch.manual_seed(0)
    model = entry.build()
    trial.parameters = sum(p.numel() for p in model.parameters())
    try:
        transform(model, GAMMA, layers=entry.layers)
    except OdemomError as error:
        trial.verdict, trial.why = "refused", _reason(str(error))
    else:
        _measure(trial, _Case(model, entry))


def _reason(message: str) -> str:
    return message.partition("; expected")[0].removeprefix("model: got ")


class _Case:
    """A model in float64, its arguments, and one loss of all that it returns."""

    def __init__(self, model: nn.Module, entry: Entry) -> None:
        self.entry = entry
        self.model = model.double()
        _break_symmetry(model)
        self.state = copy.deepcopy(model.state_dict())

    def twin(self, reversible: Any, gamma: float = GAMMA) -> nn.Module:
        return transform(self.model, gamma, reversible=reversible, layers=self.entry.layers)

    def reset(self) -> None:
        """Parameters and buffers as they were, no gradients, the same random numbers."""
        self.model.load_state_dict(self.state)
        self.model.zero_grad()
        torch.manual_seed(1)

    @contextmanager
    def perturbed(self) -> Iterator[None]:
        """All numbers of the state moved by 2^-50 of themselves."""
        generator = torch.Generator().manual_seed(4)
        before, self.state = self.state, copy.deepcopy(self.state)
        for value in self.state.values():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                value *= 1 + 2.0**-50 * noise
        try:
            yield
        finally:
            self.state = before

    def call(self, net: nn.Module) -> list[Tensor]:
        kwargs = self.entry.inputs()
        dtype = next(net.parameters()).dtype
        kwargs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in kwargs.items()}
        args = (kwargs.pop(""),) if "" in kwargs else ()
        return _tensors(net(*args, **kwargs))

    def loss(self, net: nn.Module) -> Tensor:
        generator = torch.Generator().manual_seed(2)
        values = []
        for value in self.call(net):
            if value.requires_grad:
                weights = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                values.append((weights * value).mean() + value.square().mean())
        return torch.stack(values).sum()

    def value(self, net: nn.Module) -> list[Tensor]:
        self.reset()
        net.eval()
        with torch.no_grad(), double_throughout():
            return self.call(net)

    def gradients(self, net: nn.Module, *, training: bool) -> list[Tensor]:
        """Gradients, and the buffers after the step."""
        self.reset()
        net.zero_grad()
        net.train(training)
        with double_throughout():
            self.loss(net).backward()
        found = [p.grad if p.grad is not None else torch.zeros_like(p) for p in net.parameters()]
        moved = [b.double() for b in net.buffers() if b.is_floating_point()]
        return [t.clone() for t in (*found, *moved)]


def _break_symmetry(model: nn.Module) -> None:
    """Let no parameter be constant: zero heads and scales would hide what comes before them."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            if p.is_floating_point():
                p += 0.02 * torch.randn(p.shape, generator=generator, dtype=p.dtype)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, dict):
        return [t for v in value.values() for t in _tensors(v)]
    if isinstance(value, list | tuple):
        return [t for v in value for t in _tensors(v)]
    return []


def _error(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest relative error of a tensor; of those that vanish, against all of them."""
    whole = torch.stack([b.norm() for b in expected]).norm()
    parts = [
        (a - b).norm() / (b.norm() + 1e-4 * whole) for a, b in zip(found, expected, strict=True)
    ]
    return float(torch.stack(parts).max())


def _measure(trial: Trial, case: _Case) -> None:
    original = case.value(case.model)
    said = _rows(trial, case)
    trial.checks = _checks(case, original)
    trial.errors = _errors(case, training=True)
    found = [trial.errors]
    if trial.errors["rounding"] > SENSITIVE:
        trial.evaluated = _errors(case, training=False)
        found.append(trial.evaluated)
    trial.differences = [
        name
        for errors in found
        for name in ("oracle", "exact", "auto")
        if not errors[name] <= TOLERANCE + AMPLIFIED * errors["rounding"]
        and not (name == "oracle" and said)
    ]
    trial.differences += [name for name, holds in trial.checks.items() if not holds]
    trial.memory = _memory(case)


def _errors(case: _Case, *, training: bool) -> dict[str, float]:
    def of(net: nn.Module) -> list[Tensor]:
        return case.gradients(net, training=training)

    case.reset()  # the oracle is a copy
    expected = of(momentum_network(case.model, GAMMA))
    plain = of(case.twin(False))
    with case.perturbed():
        nearby = of(case.twin(False))
    return {
        "oracle": _error(plain, expected),
        "exact": _error(of(case.twin(True)), plain),
        "auto": _error(of(case.twin("auto")), plain),
        "rounding": _error(nearby, plain),
    }


def _rows(trial: Trial, case: _Case) -> bool:
    """The rows of a call, and whether the twin said that blocks were not joined."""
    twin = case.twin(False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.value(twin)
    said = [str(w.message) for w in caught if "twin_report" in str(w.message)]
    report = twin_report(twin)
    trial.rows, trial.share = [row.layers for row in report.rows], report.parameters
    if max(trial.rows, default=0) < 2:
        trial.verdict = "no row"
    trial.why = said[0].partition(";")[0].partition(". The blocks")[0] if said else ""
    return any("started a row" in message for message in said)


def _checks(case: _Case, original: list[Tensor]) -> dict[str, bool]:
    twin = case.twin("auto")
    back = restore(twin)
    other = case.entry.build().double()
    state = case.model.state_dict()
    loads = True
    for source, target in ((twin, other), (other, case.twin("auto"))):
        try:
            target.load_state_dict(source.state_dict(), strict=True)
        except RuntimeError:
            loads = False
    return {
        "gamma = 0": _equal(case.value(case.twin("auto", 0)), original),
        "restore": _equal(case.value(back), original) and str(back) == str(case.model),
        "state dict": loads and list(twin.state_dict()) == list(state),
    }


def _equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(map(torch.equal, found, expected)) and len(found) == len(expected)


def _memory(case: _Case) -> dict[str, float]:
    steps = {}
    for mode in (False, "auto"):
        case.reset()
        net = case.twin(mode).train().float()
        known = [*net.parameters(), *net.buffers()]
        net.zero_grad()
        steps[mode] = training_step(lambda net=net: case.loss(net), known)
        case.model.double()
    plain, auto = steps[False], steps["auto"]
    return {"kept": auto.kept / plain.kept, "peak": auto.peak / plain.peak}
