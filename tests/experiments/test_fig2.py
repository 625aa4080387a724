"""The worker of Figure 2 measures what a step must take; the verdicts follow the figures."""

from __future__ import annotations

import dataclasses

import pytest

from odemom import InvalidInputError
from odemom.experiments import fig2
from odemom.experiments._memory_step import METHODS, PEER, Request, ask

REQUEST = Request(depth=40, width=64, batch=1000, seed=0, device="cpu", own_weights=False)


def test_a_step_takes_the_activations_that_it_keeps_and_gives_the_same_gradient():
    found = {m.method: m for m in ask(REQUEST)}
    assert set(found) >= set(METHODS) - {PEER}
    kept = 40 * 2 * 4 * 64 * 1000  # the input and the tanh of every layer, four bytes each
    assert kept <= found["plain"].peak <= 1.25 * kept
    assert found["reversible"].peak <= kept / 4
    assert found["checkpointed"].peak <= kept / 2
    assert found["checkpointed"].gradient == found["plain"].gradient
    assert found["reversible"].gradient == pytest.approx(
        found["plain"].gradient, rel=1e-3, abs=1e-9
    )


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InvalidInputError, match="device"):
        ask(dataclasses.replace(REQUEST, depth=2, device="cuda:99"))


def made(ours: list[float], *, error: float = 0.0) -> fig2.Memory:
    """A result with given peaks of the reversible network at depths 10 and 100."""
    steps = [
        fig2.Step(method, depth, 0, False, peak, 1.0, error)
        for method, peaks in (
            ("plain", [25.0, 205.0]), ("checkpointed", [17.0, 45.0]), ("reversible", ours)
        )
        for depth, peak in zip((10, 100), peaks, strict=True)
    ]  # fmt: skip
    return fig2.Memory((10, 100), 500, 500, "VmHWM", tuple(steps))


@pytest.mark.parametrize(
    ("ours", "error", "verdicts"),
    [
        ([18.0, 18.0], 1e-7, ["holds", "holds", "not judged", "holds", "holds"]),
        ([18.0, 28.0], 1e-7, ["holds", "does not hold", "not judged", "holds", "holds"]),
        ([18.0, 18.0], 1e-2, ["holds", "holds", "not judged", "does not hold", "holds"]),
    ],
)
def test_the_verdicts_follow_the_figures(ours, error, verdicts):
    assert [claim.verdict for claim in fig2.claims(made(ours, error=error))] == verdicts
