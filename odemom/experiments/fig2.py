"""Figure 2 of the paper: the memory of a training step against the depth, with its gradient.

The paper's set-up: 500 samples in dimension 500, residual functions of one hidden layer of 500
units, gamma = 1 - 1/(50 k) at depth k. Every step runs in a process of its own, after a step at
depth 2 in which libraries take their workspaces; counted is the highest resident memory over that
before the step, on a GPU the highest of PyTorch's allocations.

One function stands at all layers, and its gradient is allocated before the step: with 500 samples
in dimension 500 a layer's weights weigh as much as its activations, and would hide them. Up to
``own_weights`` layers the step is measured too with weights of each layer's own, their gradients
allocated; the two must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer, expect, shown
from odemom.experiments._memory_step import PEER, Measured, Request, ask
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "Memory", "Step"]

BAR = 1.5
"""What peak(deepest)/peak(shallowest) of the reversible network may be."""

ROUNDOFF = 2.0**-24
MARGIN = 8
"""How many roundings a layer of the gradient may differ by: each of its two products rounds
forward, and again back, in two networks."""

WORDS = "the gradients are those of plain backpropagation, up to the rounding of every layer"


@dataclass(frozen=True)
class Config:
    """What is measured.

    Parameters
    ----------
    depths : sequence of int
        Rising; at least 2 of them.
    width, batch : int
        The dimension, also that of the hidden layer, and the number of samples.
    own_weights : int
        Depths up to this one are measured too with weights of each layer's own.
    seeds : int
        Repetitions with other weights and samples.
    device : str
        "cpu", or a CUDA device as PyTorch names it.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    depths: tuple[int, ...] = (10, 30, 100, 300, 1000)
    width: int = 500
    batch: int = 500
    own_weights: int = 30
    seeds: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)
        for depth in self.depths:
            as_integer(depth, "depths", 2)
        rising = len(self.depths) >= 2 and all(np.diff(self.depths) > 0)
        expect(rising, "depths", got=shown(self.depths), expected="2 or more, rising")
        for name, least in (("width", 1), ("batch", 1), ("own_weights", 0), ("seeds", 1)):
            as_integer(getattr(self, name), name, least)


@dataclass(frozen=True)
class Step:
    """One training step.

    Attributes
    ----------
    method : {"plain", "checkpointed", "momentumnet", "reversible"}
    depth, seed : int
    own_weights : bool
    peak_mb : float
        Beyond what was held before the step, in 10^6 bytes.
    seconds : float
        Of the whole step, in a fresh process and measured once: no benchmark.
    gradient_error : float
        Against plain backpropagation, relative, in the Euclidean norm over the entries compared.
    """

    method: str
    depth: int
    seed: int
    own_weights: bool
    peak_mb: float
    seconds: float
    gradient_error: float


@dataclass(frozen=True)
class Memory:
    """The numbers of Figure 2.

    Attributes
    ----------
    depths : tuple of int
    width, batch : int
    gauge : str
        What was read: see `odemom.experiments._memory_step.Measured`.
    steps : tuple of Step
    """

    depths: tuple[int, ...]
    width: int
    batch: int
    gauge: str
    steps: tuple[Step, ...]

    @property
    def methods(self) -> list[str]:
        """Those measured, in the order of `Step`."""
        return list(dict.fromkeys(step.method for step in self.steps))

    def peaks(self, method: str, *, own_weights: bool = False) -> np.ndarray:
        """Peaks in 10^6 bytes, one row per depth and one column per seed."""
        steps = [s for s in self.steps if (s.method, s.own_weights) == (method, own_weights)]
        depths = dict.fromkeys(s.depth for s in steps)
        return np.array([[s.peak_mb for s in steps if s.depth == depth] for depth in depths])

    @property
    def layer_mb(self) -> float:
        """What plain backpropagation keeps of a layer: its input, and the value of tanh."""
        return 2 * 4 * self.width * self.batch / 1e6


def tasks(config: Config) -> list[Request]:
    """One task per depth, seed, and kind of weights."""
    return [
        Request(depth, config.width, config.batch, seed, config.device, own)
        for depth in config.depths
        for own in (False, True)
        if not own or depth <= config.own_weights
        for seed in range(config.seeds)
    ]


def run(request: Request) -> tuple[Measured, ...]:
    """Measure all methods at one depth."""
    return ask(request)


def gather(config: Config, found: Sequence[tuple[Measured, ...]]) -> Memory:
    """The figure from its steps."""
    steps = []
    for request, methods in zip(tasks(config), found, strict=True):
        plain = np.array(methods[0].gradient)
        for m in methods:
            error = np.linalg.norm(np.array(m.gradient) - plain) / np.linalg.norm(plain)
            row = m.method, request.depth, request.seed, request.own_weights
            steps.append(Step(*row, m.peak / 1e6, round(m.seconds, 3), float(error)))
    return Memory(config.depths, config.width, config.batch, found[0][0].gauge, tuple(steps))


def claims(data: Memory) -> list[Claim]:
    """What the figure shows of the paper's claim on memory."""
    depths = np.array(data.depths)
    if depths[-1] < 10 * depths[0]:  # one layer's work hides the difference
        told = f"depths {depths[0]} to {depths[-1]} are too near each other to judge"
        return [
            Claim.judged(words, where, told, None)
            for words, where in (
                (_plain_words(), "Section 3, Figure 2"),
                (_ours_words(), "Section 3, Figure 2"),
                (_peer_words(), "Section 3, Figure 2"),
                (WORDS, "beyond the paper"),
                (_checkpointed_words(), "beyond the paper"),
            )
        ]
    return [
        _plain(data, depths),
        _ours(data, depths),
        _peer(data, depths),
        _gradients(data),
        _checkpointed(data, depths),
    ]


def _plain_words() -> str:
    return "with stored activations the memory of a training step grows linearly with the depth"


def _ours_words() -> str:
    return "with recomputed activations the memory of a training step does not grow with the depth"


def _peer_words() -> str:
    return (
        f"the memory of a training step with {PEER}, the authors' own package, does not grow with "
        "the depth"
    )


def _checkpointed_words() -> str:
    return "checkpointing, the usual remedy, takes memory that grows, as the root of the depth"


def _growth(peaks: np.ndarray) -> str:
    """Means at the first and the last depth, and the ratio with its spread over the seeds."""
    ratio = peaks[-1] / peaks[0]
    spread = f" ± {deviation(ratio):.2g} over {ratio.size} seeds" if ratio.size > 1 else ""
    return f"{peaks[0].mean():.1f} to {peaks[-1].mean():.1f} MB, ratio {ratio.mean():.3g}{spread}"


def _span(depths: np.ndarray) -> str:
    return f"depth {depths[0]} to {depths[-1]}"


def _plain(data: Memory, depths: np.ndarray) -> Claim:
    peaks = data.peaks("plain").mean(axis=1)
    slope = np.diff(peaks) / np.diff(depths)
    away = np.abs(slope / data.layer_mb - 1).max()
    return Claim.judged(
        _plain_words(),
        "Section 3, Figure 2",
        f"{_span(depths)}: {_growth(data.peaks('plain'))}; between neighbouring depths "
        f"{slope.min():.3f} to {slope.max():.3f} MB per layer, of which input and tanh are "
        f"{data.layer_mb:.3f}",
        bool(away < 0.05),
    )


def _ours(data: Memory, depths: np.ndarray) -> Claim:
    peaks = data.peaks("reversible")
    ratio = (peaks[-1] / peaks[0]).max()
    cheaper = depths[peaks.mean(axis=1) < data.peaks("plain").mean(axis=1)]
    less = data.peaks("plain")[-1].mean() / peaks[-1].mean()
    each = 1e3 * (peaks[-1] - peaks[0]).mean() / (depths[-1] - depths[0])
    own = _own_weights(data)
    return Claim.judged(
        _ours_words(),
        "Section 3, Figure 2",
        f"{_span(depths)}: {_growth(peaks)} (bar {BAR}), {each:.1f} kB per layer, "
        f"whose activations are {1e3 * data.layer_mb:,.0f}; {less:.0f} times less than plain "
        f"backpropagation at {depths[-1]}"
        + (f", less from depth {cheaper[0]} on" if cheaper.size else "")
        + own,
        bool(ratio <= BAR),
    )


def _own_weights(data: Memory) -> str:
    own = data.peaks("reversible", own_weights=True)
    if not own.size:
        return ""
    tied = data.peaks("reversible")[: len(own)]
    return f"; weights of each layer's own change the peak by {np.abs(own / tied - 1).max():.1%}"


def _peer(data: Memory, depths: np.ndarray) -> Claim:
    where = "Section 3, Figure 2"
    if PEER not in data.methods:
        return Claim.judged(_peer_words(), where, f"{PEER} is not installed here", None)
    peaks = data.peaks(PEER)
    return Claim.judged(
        _peer_words(),
        where,
        f"{_span(depths)}: {_growth(peaks)}; its backward pass keeps the weights' gradients of "
        "every layer until it returns",
        bool((peaks[-1] / peaks[0]).max() <= BAR),
    )


def _gradients(data: Memory) -> Claim:
    ours = [step for step in data.steps if step.method == "reversible"]
    worst = max(step.gradient_error / (MARGIN * step.depth * ROUNDOFF) for step in ours)
    deepest = max(s.gradient_error for s in ours if s.depth == data.depths[-1])
    theirs = [s.gradient_error for s in data.steps if s.method == PEER]
    beside = f"; {PEER} up to {max(theirs):.1e}" if theirs else ""
    return Claim.judged(
        WORDS,
        "beyond the paper",
        f"relative error {deepest:.1e} at depth {data.depths[-1]}, where {MARGIN} roundings of "
        f"2^-24 per layer are {MARGIN * data.depths[-1] * ROUNDOFF:.1e}; the worst depth is at "
        f"{worst:.2f} of that{beside}",
        bool(worst <= 1),
    )


def _checkpointed(data: Memory, depths: np.ndarray) -> Claim:
    peaks, ours = data.peaks("checkpointed"), data.peaks("reversible").mean(axis=1)
    order = np.log(peaks[-1] / peaks[0]) / np.log(depths[-1] / depths[0])
    cheaper = depths[ours < peaks.mean(axis=1)]
    less = "; the reversible network takes less from depth {} on"
    return Claim.judged(
        _checkpointed_words(),
        "beyond the paper",
        f"{_span(depths)}: {_growth(peaks)}, a power {order.mean():.2f} of the depth"
        + (less.format(cheaper[0]) if cheaper.size else ""),
        bool((peaks[-1] / peaks[0] > BAR).all() and (order <= 0.55).all()),
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(depths=(2, 8), width=64, batch=256, own_weights=0),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
