"""How often the functions of a row count: against rows of functions that do not depend on x."""

import pytest
import torch
from torch import nn

from odemom.nn import transform, twin_report


class Moving(nn.Module):
    """A block that adds one unit vector, whatever x is."""

    def __init__(self, index):
        super().__init__()
        self.index = index
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x + self.scale * nn.functional.one_hot(torch.tensor(self.index), x.shape[-1])


class Tower(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.h = nn.ModuleList(Moving(n) for n in range(blocks))

    def forward(self, x):
        for block in self.h:
            x = block(x)
        return x


@pytest.mark.parametrize("velocity", ["zero", "field"])
@pytest.mark.parametrize("gamma", [0.25, 0.9])
@pytest.mark.parametrize("blocks", [2, 3, 7])
def test_functions_count_as_often_as_the_report_says(blocks, gamma, velocity):
    twin = transform(Tower(blocks), gamma, layers=["h"], initial_velocity=velocity)
    found = twin(torch.zeros(1, blocks, dtype=torch.float64))
    (row,) = twin_report(twin).rows
    assert row.weights == pytest.approx(found[0].tolist(), rel=1e-12)


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.fs = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))

    def forward(self, x):
        for f in self.fs:
            x = x + f(x)
        return x


@pytest.mark.parametrize(
    ("gamma", "weights", "said"),
    [(0.5, (0.875, 0.75, 0.5), ", f counts 0.88 to 0.5 times"), (0, (1, 1, 1), "")],
)
def test_functions_of_a_list_of_functions_too(gamma, weights, said):
    twin = transform(Added(), gamma, layers=["fs"], residual=True)
    twin(torch.zeros(1, 1))
    report = twin_report(twin)
    assert report.rows[0].weights == weights
    assert str(report).endswith(f"{report.rows[0].mode}{said}")
