"""LISTA: nets that start as ISTA, certified optima, and statistics of ratios."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from odemom.experiments import fig10  # noqa: E402
from odemom.experiments._learned_fixed_points import INACTIVE, fixed_points  # noqa: E402
from odemom.experiments._lista import (  # noqa: E402
    LAMBDA,
    Nets,
    Problems,
    classical,
    soft_threshold,
)
from odemom.experiments._lista_claims import leads_from  # noqa: E402
from odemom.experiments._lista_results import Curve, Fig10, Setting  # noqa: E402

PROBLEMS = Problems.random(range(2))
SIGNALS = PROBLEMS.signals(torch.Generator().manual_seed(0), 5)


def test_soft_thresholding_moves_towards_zero():
    z = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0])
    assert soft_threshold(z, torch.tensor(1.0)).tolist() == [-2, 0, 0, 0, 2]


def test_an_untrained_lista_is_ista():
    nets = Nets("LISTA", PROBLEMS, [1.0], 0.0, tied=False)
    (by_hand,) = classical(PROBLEMS, SIGNALS, [6], fast=False)
    # its weights are in single precision
    torch.testing.assert_close(nets.losses(6, SIGNALS)[:, 0], by_hand, atol=1e-6, rtol=0)


def test_the_optimum_is_certified_and_kept_by_ista_from_below():
    least, gap = PROBLEMS.optimum(SIGNALS)
    assert float(gap.max()) < 1e-9
    assert float(gap.min()) > -1e-12
    (late,) = classical(PROBLEMS, SIGNALS, [3000], fast=True)
    torch.testing.assert_close(late, least, atol=1e-8, rtol=0)


def test_with_an_orthogonal_dictionary_one_step_of_ista_ends():
    problems = Problems(torch.eye(16, dtype=torch.float64)[None])
    y = problems.signals(torch.Generator().manual_seed(0), 5)
    least, _ = problems.optimum(y)
    x = soft_threshold(y, torch.tensor(LAMBDA, dtype=torch.float64))
    torch.testing.assert_close(problems.loss(x, y), least, atol=1e-9, rtol=0)


def test_nets_trained_together_are_those_trained_alone():
    together = Nets("momentum LISTA", PROBLEMS, [1.0, 2.0], 0.3, tied=False)
    alone = Nets("momentum LISTA", PROBLEMS, [2.0], 0.3, tied=False)
    for nets in (together, alone):
        assert list(nets.train([1, 2], 5, 10, 3e-3, 0)) == [1, 2]
    first, second = together.losses(2, SIGNALS)[:, 1], alone.losses(2, SIGNALS)[:, 0]
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_training_lowers_the_gap():
    nets = Nets("LISTA", PROBLEMS, [1.0], 0.0, tied=True)
    before = float(nets.losses(2, SIGNALS).mean())
    list(nets.train([2], 40, 20, 3e-3, 0))
    assert float(nets.losses(2, SIGNALS).mean()) < before - 0.01


def test_untrained_fixed_points_solve_the_lasso_and_repel_revnets():
    step = 0.5  # short steps are the hard ones to find them by
    least, _ = PROBLEMS.optimum(SIGNALS)
    lista = fixed_points(Nets("LISTA", PROBLEMS, [step], 0.0, tied=True), SIGNALS, least)
    assert lista is not None
    assert lista.found == lista.probes == SIGNALS.shape[0] * SIGNALS.shape[1]
    assert abs(lista.gap) < 1e-6  # weights in single precision
    assert lista.foretold == lista.judged
    revnet = fixed_points(Nets("RevNet LISTA", PROBLEMS, [step], 0.0, tied=True), SIGNALS, least)
    assert revnet is not None
    assert revnet.attracting == revnet.settled == 0
    assert revnet.least_radius > INACTIVE - 1e-9


def _result(*gaps: tuple[str, tuple[tuple[float, ...], ...]]) -> Fig10:
    setting = Setting(0.0, 1.0, 0.0, ())
    return Fig10(
        1, 1, 1, (), tuple(Curve(m, False, (1, 2, 3), g, setting, (), 0.0, None) for m, g in gaps)
    )


def test_ratios_are_paired_and_momentum_leads_where_the_interval_is_below_one():
    base = ((1.0, 2.0), (1.0, 2.0), (1.0, 4.0))
    better = ((1.1, 2.2), (0.5, 1.0), (0.5, 1.9))
    result = _result(("LISTA", base), ("momentum LISTA", better))
    ratios = result.ratios("momentum LISTA", "LISTA")
    assert ratios[2].low == pytest.approx(0.5) == ratios[2].high
    logs = np.log([0.5, 1.9 / 4])
    reach = 12.706 * logs.std(ddof=1) / math.sqrt(2)  # Student's t, one degree of freedom
    assert ratios[3].high == pytest.approx(math.exp(logs.mean() + reach), rel=1e-4)
    assert leads_from(result) == 2
    swapped = dataclasses.replace(result.curves[1], gaps=better[::-1])
    assert leads_from(dataclasses.replace(result, curves=(result.curves[0], swapped))) is None


def test_each_method_tries_as_many_settings():
    assert {sum(map(len, grid.values())) for grid in fig10.GRIDS.values()} == {9}
