"""The zoo of networks: its trials find a twin that is wrong, and the table published is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.live import training_step
from benchmarks.zoo.table import cells, notes, summary
from benchmarks.zoo.trial import try_out
from odemom.nn.transform import rows

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "zoo.json"


class Block(nn.Module):
    """x -> x + tanh(A x + b)."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return x + torch.tanh(self.linear(x))


def entry(build: Any) -> Entry:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=generator)
    return Entry("own", "tower", build, lambda: {"": x})


def tower() -> nn.Module:
    return nn.Sequential(*(Block() for _ in range(5)))


def test_a_right_twin_is_right():
    trial = try_out(entry(tower))
    assert (trial.verdict, trial.rows, trial.share) == ("accepted", [5], 1.0)
    assert trial.differences == []
    assert max(trial.errors[name] for name in ("oracle", "exact", "auto")) < 1e-11
    assert 0 < trial.memory["kept"] < 1
    assert "silent differences: 0" in summary([trial])
    assert len(cells(trial)) == 12


def test_a_wrong_twin_is_found(monkeypatch):
    right = rows.plain_step

    def forgetful(row, function, x, carry, first):
        return right(row, function, x, None, first)

    monkeypatch.setattr(rows, "plain_step", forgetful)
    assert "oracle" in try_out(entry(tower)).differences


def test_a_refusal_says_why():
    trial = try_out(entry(lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))))
    assert trial.verdict == "refused"
    assert notes([trial]) == [
        "own: tower, refused: a Sequential in which no known residual block was found."
    ]


def test_bytes_of_a_step_are_those_of_its_tensors():
    x = torch.randn(1000, requires_grad=True)
    step = training_step(lambda: x.exp().sin().sum(), [x])
    # Of the exponential both functions keep one tensor, its 1,000 floats; the sum is one float.
    # At the end of the sum, and of each gradient, two tensors are alive at least.
    assert step.kept == 4000 + 4
    assert 2 * 4000 <= step.peak <= 3 * 4000 + 8


def test_the_published_table_has_no_silent_difference():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    trials = results["trials"]
    assert {t["library"] for t in trials} == {"torchvision", "timm", "transformers"}
    assert sum(t["verdict"] == "accepted" for t in trials) >= 80
    assert all(t["differences"] == [] for t in trials)
    assert all(t["why"] for t in trials if t["verdict"] != "accepted")
    assert {"torch", "torchvision", "timm", "transformers"} <= results["versions"].keys()


@pytest.mark.parametrize("name", ["resnet18", "GPT2LMHeadModel", "vit_tiny_patch16_224"])
def test_the_page_shows_the_table(name):
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert f": {name} |" in page
    assert "silent differences: 0." in page
