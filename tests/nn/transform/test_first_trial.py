"""What the first call of a reversible twin leaves behind: what one call does, and no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from odemom.errors import ReversibilityError
from odemom.nn import transform, twin_report
from tests.nn.transform.stacks import DEPTH, MODES, Block, Stack, rows, twin_of


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Prepared(Block):
    """Its layer lacks what a hook gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer.register_forward_pre_hook(self.prepare)

    @staticmethod
    def prepare(layer, _given):
        layer.scale = 3.0

    def forward(self, x):
        y = self.layer(x)
        return x + torch.tanh(y * self.layer.__dict__.pop("scale"))


class Drawing(Block):
    def forward(self, x):
        np.random.random()  # noqa: NPY002 - the global generator is what this is about
        return super().forward(x)


def gradients(twin, loss) -> list[torch.Tensor | None]:
    return [None if g is None else g.clone() for g in torch.autograd.grad(
        loss, [*twin.parameters()], allow_unused=True)]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_hooks_on_the_inside_collect_once(mode):
    def step(twin):
        found: list[torch.Tensor] = []
        for block in twin.h:
            block.layer.register_forward_hook(lambda _m, _x, y: found.append(y))
        twin(rows())
        count = len(found)
        return count, gradients(twin, sum(y.square().sum() for y in found))

    count, found = step(twin_of(Stack(), mode))
    _, expected = step(twin_of(Stack(), False))
    assert count == DEPTH
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("mode", MODES)
def test_parametrizations_that_are_cached_keep_their_gradients(mode):
    def step(mode):
        model: Any = Stack()
        for block in model.h:
            parametrize.register_parametrization(block.layer, "weight", Doubled())
        twin = twin_of(model, mode)
        with parametrize.cached():
            return gradients(twin, twin(rows()).square().sum())

    for one, other in zip(step(mode), step(False), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("mode", MODES)
def test_hooks_without_which_a_block_cannot_run_are_there(mode):
    def step(mode):
        twin = twin_of(Stack(Prepared), mode)
        return gradients(twin, twin(rows()).square().sum())

    for one, other in zip(step(mode), step(False), strict=True):
        torch.testing.assert_close(one, other)


def test_numpys_random_numbers_move_once():
    np.random.seed(0)  # noqa: NPY002
    for _ in range(DEPTH):
        np.random.random()  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    twin = twin_of(Stack(Drawing), True)
    np.random.seed(0)  # noqa: NPY002
    twin(rows())
    assert np.random.random() == expected  # noqa: NPY002


def test_the_report_says_why_a_row_was_begun_anew():
    class Dropping(Stack):
        def forward(self, x):
            for block in self.h:
                x = nn.functional.dropout(block(x), 0.5)
            return x

    twin = twin_of(Dropping(), False)
    with pytest.warns(UserWarning, match="not one momentum network|went on"):
        twin(rows())
    report = twin_report(twin)
    assert not report.rows[0].start
    assert {row.start for row in report.rows[1:]} == {
        "its input is not the tensor that a block of the same list returned"
    }
    assert (
        "h.1: 1 layer of shape 3 x 4, plain, f counts 0.1 times; begun anew, since its input"
        in str(report)
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["attentions", "hidden_states"])
def test_outputs_that_transformers_collects_are_there_once(what, mode):
    library = pytest.importorskip("transformers")
    layers = 4
    config = library.BertConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=16, attn_implementation="eager",
    )  # fmt: skip
    tokens = torch.zeros(2, 5, dtype=torch.long)
    asked: Any = {f"output_{what}": True}
    expected = layers + (what == "hidden_states")
    for precision in (torch.float32, torch.bfloat16):
        twin = transform(library.BertForMaskedLM(config), 0.9, reversible=mode)
        for _ in range(2):
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                assert len(twin(tokens, **asked)[what]) == expected


class Padded(Block):
    """Its value has the shape of its input by a hook's doing alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 1, 3)
        self.layer.register_forward_pre_hook(lambda _m, given: nn.functional.pad(given[0], (1, 1)))

    def forward(self, x):
        return torch.tanh(self.layer(x[:, None]))[:, 0]


class Upcast(Block):
    """Its value has another dtype by a hook's doing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer.register_forward_hook(lambda _m, _x, y: y.float())


@pytest.mark.parametrize("kind", [Padded, Upcast])
def test_shape_and_dtype_are_those_with_hooks(kind):
    def step(mode):
        twin = twin_of(Stack(kind), mode)
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is Upcast):
            x = rows().bfloat16() if kind is Upcast else rows()
            return [twin(x) for _ in range(2)], twin_report(twin)

    exact, report = step(True)
    plain, _ = step(False)
    assert [row.layers for row in report.rows] == [DEPTH]
    for one, other in zip(exact, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_a_cache_of_weights_is_as_it_was_after_a_trial():
    model: Any = Stack()
    other: Any = nn.Linear(4, 4)
    for layer in (other, *(block.layer for block in model.h)):
        parametrize.register_parametrization(layer, "weight", Doubled())
    twin = twin_of(model, True)
    with parametrize.cached():
        weight = other.weight
        twin(rows())
        assert other.weight is weight
    with torch.no_grad():
        other.parametrizations.weight.original.mul_(2)
    assert torch.equal(other.weight, 2 * weight)


class Biased(Block):
    """Adds what is computed once a pass, and kept in an object."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.kept = nn.Parameter(torch.ones(4)), SimpleNamespace(bias=None)

    def forward(self, x):
        if self.kept.bias is None:
            self.kept.bias = self.table.sin()
        return x + torch.tanh(self.layer(x) + self.kept.bias)


def steps_with_biases(mode, *, shared):
    model: Any = Stack(Biased)
    if shared:
        for block in model.h[1:]:
            block.table, block.kept = model.h[0].table, model.h[0].kept
    twin = twin_of(model, mode)
    for _ in range(2):
        for block in model.h:
            block.kept.bias = None
        yield gradients(twin, twin(rows()).square().sum())


def test_a_trial_leaves_no_tensor_without_its_graph_in_an_object():
    steps = (steps_with_biases(mode, shared=False) for mode in (True, False))
    for found, expected in zip(*steps, strict=True):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("mode", ["auto", True])
def test_a_tensor_in_an_object_that_blocks_share_is_refused_in_the_first_step(mode):
    with pytest.raises(ReversibilityError, match="computed from its parameters once"):
        next(steps_with_biases(mode, shared=True))
