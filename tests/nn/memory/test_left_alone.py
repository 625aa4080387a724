"""What `memory_report` leaves as it was, and models that hold twins."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import memory_report, transform
from tests.nn.memory.networks import Mlp

SEEN: list[torch.Tensor] = []


def seen(module, args, value):
    SEEN.append(value)


class Draws(nn.Module):
    """Looks at NumPy's own generator."""

    def __init__(self):
        super().__init__()
        self.blocks = Mlp(2, 8).blocks

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x * np.random.mtrand.random()


def test_numpy_draws_the_same_numbers_afterwards():
    state = np.random.mtrand.get_state(legacy=False)["state"]["pos"]
    memory_report(Draws(), torch.zeros(2, 8))
    assert np.random.mtrand.get_state(legacy=False)["state"]["pos"] == state


def test_hooks_leave_nothing_in_the_lists_that_they_know():
    SEEN[:] = [torch.ones(1)]
    model, here, by_name = Mlp(2, 8), [], {}
    model.first.register_forward_hook(seen)
    model.last.register_forward_hook(lambda m, args, value: here.append(value))
    model.last.register_forward_pre_hook(lambda m, args: by_name.update(last=args))
    memory_report(model, torch.zeros(2, 8))
    assert (len(SEEN), here, by_name) == (1, [], {})
    model(torch.zeros(2, 8))
    assert (len(SEEN), len(here), len(by_name)) == (2, 1, 1)


def test_a_report_may_be_asked_for_in_inference_mode():
    model, x = Mlp(2, 8), torch.zeros(2, 8)
    expected = memory_report(model, x)
    with torch.inference_mode():
        assert memory_report(model, x) == expected


def test_the_rows_of_twins_in_a_model_are_its_parts():
    twins = [transform(Mlp(n, 8), 0.9, layers=["blocks"]) for n in (2, 3)]
    model = nn.Sequential(twins[0], nn.Linear(10, 8), twins[1])
    report = memory_report(model, torch.empty(64, 8, device="meta"))
    assert report.given == "twin"
    assert {"0.blocks.0 to 1", "2.blocks.0 to 2"} <= report.step.parts.keys()
    assert report.notes == dict.fromkeys(("0.blocks.0 to 1", "2.blocks.0 to 2"), "checkpoint")


def test_what_fails_is_said_in_the_error_and_not_in_a_log(caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidInputError, match="cannot be mult"):
        memory_report(Mlp(2, 8), torch.zeros(2, 7))
    assert not [r for r in caplog.records if "failed while" in r.getMessage()]
    assert not logging.getLogger("torch._subclasses.fake_tensor").disabled
