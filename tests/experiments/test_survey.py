"""The survey: known probabilities, results that no backend changes, and interruptions."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.special import betainc
from scipy.stats import norm

import odemom
from odemom.data.ensembles import ENSEMBLES
from odemom.errors import InvalidInputError, OdemomError
from odemom.experiments import survey
from odemom.experiments.survey import EXPERIMENT, Survey, SurveyConfig
from odemom.plots.survey import draw
from odemom.records import from_json, jsonable
from odemom.reproduce import redraw, reproduce

SMALL = SurveyConfig(["ginibre", "integer"], [2, 4], [0, "1/2", math.inf], samples=60, chunk=25)


def compute(config, *, out=None, **where):
    return EXPERIMENT.compute(config, folder=out, **where)


@pytest.fixture(scope="module")
def small():
    return compute(SMALL)


def assert_probability(counts, samples, expected):
    """Within 5 standard deviations: a correct sampler fails once in 1.7 million seeds."""
    allowed = 5 * math.sqrt(expected * (1 - expected) / samples)
    assert abs(counts / samples - expected) <= allowed


def one(ensemble, d, eps, samples=20_000, seed=0):
    config = SurveyConfig([ensemble], [d], eps, samples=samples, seed=seed, chunk=5000)
    return compute(config).cells[0]


# --- known probabilities -----------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_half_of_the_orthogonal_matrices_have_a_single_eigenvalue_minus_1(d):
    # det = -1 and d even: 1 and -1 once each; d odd: det = -1 gives -1, det = 1 gives 1
    cell = one("orthogonal", d, [0, "1/2", 8, "inf"], samples=400)
    assert_probability(cell.counts[0], 400, 0.5)
    assert cell.counts[:3] == (cell.counts[0],) * 3
    assert cell.counts[3] == 400  # -1 is a critical value of cosh sqrt(z)
    assert cell.borderline == (0, 0, 0, 400 - cell.counts[0])


@pytest.mark.parametrize(("ensemble", "deviation"), [("ginibre", 1), ("symmetric", math.sqrt(2))])
def test_of_dimension_1_is_the_normal_distribution_above_the_threshold(ensemble, deviation):
    eps = [0.0, 0.25, 1.0, 10.0, math.inf]
    cell = one(ensemble, 1, eps)
    for count, value in zip(cell.counts, eps, strict=True):
        assert_probability(count, 20_000, norm.sf(odemom.lambda_eps(value) / deviation))


def test_ginibre_2_x_2_by_the_exponential():
    # Real with probability 1/sqrt(2) (Edelman), of opposite signs with 1/2 (det is symmetric), so
    # both negative with (1/sqrt(2) - 1/2)/2.
    cell = one("ginibre", 2, [0])
    assert_probability(cell.counts[0], 20_000, 0.75 - 0.5 / math.sqrt(2))


def test_symmetric_2_x_2_by_the_exponential_are_the_positive_definite_ones():
    # trace/2 > radius of (a - b, 2 c)/2: a cone of half angle 45 degrees about an axis of R^3
    cell = one("symmetric", 2, [0])
    assert_probability(cell.counts[0], 20_000, (1 - math.sqrt(0.5)) / 2)


def test_integers_of_dimension_1_are_counted():
    cell = one("integer", 1, [0, "1/2", "inf"], samples=600)
    for count, good in zip(cell.counts, (9, 10, 11), strict=True):  # 1..9; 0..9; -1..9
        assert_probability(count, 600, good / 19)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_ginibre_matrices_have_only_real_eigenvalues_as_often_as_edelman_says(d):
    matrices = ENSEMBLES["ginibre"].sample(np.random.default_rng(d), 20_000, d)
    real = (np.imag(np.linalg.eigvals(matrices)) == 0).all(axis=1).sum()
    assert_probability(real, 20_000, 2 ** (-d * (d - 1) / 4))


@pytest.mark.parametrize("name", ["ginibre", "symmetric", "integer"])
def test_entries_have_the_second_moment_that_is_documented(name):
    matrices = ENSEMBLES[name].sample(np.random.default_rng(0), 20_000, 3).astype(float)
    second = {"ginibre": 1 / 3, "symmetric": 1 / 3, "integer": 30.0}[name]
    # the variance of x² is at most 2 E[x²]², and there are 20,000 of them: 5 deviations
    assert abs((matrices[:, 0, 1] ** 2).mean() / second - 1) <= 5 * math.sqrt(2 / 20_000)


def test_more_is_representable_as_eps_grows_on_the_same_matrices(small):
    for cell in small.cells:
        assert list(cell.counts) == sorted(cell.counts)


def test_the_interval_is_clopper_and_pearsons(small):
    for cell in small.cells:
        for k, low, high in zip(cell.counts, cell.low, cell.high, strict=True):
            # P(X >= k) at the lower end and P(X <= k) at the upper end are 2.5 %
            n = cell.samples
            assert low == 0 if k == 0 else abs(betainc(k, n - k + 1, low) - 0.025) < 1e-9
            assert high == 1 if k == n else abs(betainc(k + 1, n - k, high) - 0.975) < 1e-9


def test_counts_are_those_of_is_representable_on_the_same_stream():
    eps = [0, "1/2", 1, 4, "inf"]
    cell = compute(SurveyConfig(["symmetric"], [3], eps, samples=500, seed=7)).cells[0]
    stream = np.random.SeedSequence(7).spawn(3)[2].spawn(4)[3].spawn(1)[0]
    matrices = ENSEMBLES["symmetric"].sample(np.random.default_rng(stream), 500, 3)
    assert list(cell.counts) == [odemom.is_representable(matrices, e).sum() for e in eps]


def test_a_vectorised_decision_that_exact_arithmetic_refutes_is_an_error(monkeypatch):
    def wrong(self, image):
        n = len(self.isolated)
        return np.zeros(n, dtype=bool), np.ones(n, dtype=bool)

    monkeypatch.setattr(survey.SimpleSpectra, "verdicts", wrong)
    with pytest.raises(OdemomError, match="exact arithmetic refutes"):
        compute(SurveyConfig(["integer"], [5], ["inf"], samples=40))


# --- where it runs -----------------------------------------------------------------------------


def test_joblib_gives_what_one_process_gives(small):
    assert compute(SMALL, backend="joblib", workers=2) == small


def test_a_dask_cluster_gives_what_one_process_gives(small, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address=None,
    ) as cluster:
        found = compute(SMALL, backend="dask", scheduler=cluster.scheduler_address, out=tmp_path)
    assert found == small


def test_a_cell_does_not_depend_on_what_else_is_asked(small):
    more = SurveyConfig(["symmetric", "ginibre"], [1, 4], SMALL.eps, samples=60, chunk=25)
    assert compute(more).cells[3] == small.cells[1]


# --- interruptions -----------------------------------------------------------------------------


def interrupted_after(chunks):
    seen = []

    def progress(done, total):
        seen.append(done)
        if len(seen) > chunks:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_survey_goes_on_and_ends_as_an_uninterrupted_one(
    small, tmp_path, monkeypatch
):
    with pytest.raises(KeyboardInterrupt):
        compute(SMALL, out=tmp_path, progress=interrupted_after(5))
    (parts,) = tmp_path.iterdir()
    text = parts.read_text()
    assert text.count("\n") == 1 + 5
    parts.write_text(text[:-10])  # as a crash in the middle of a write leaves it
    drawn = []
    sample = survey.SimpleSpectra.of
    monkeypatch.setattr(survey.SimpleSpectra, "of", lambda *a: drawn.append(a) or sample(*a))
    assert compute(SMALL, out=tmp_path) == small
    assert len(drawn) == 12 - 4
    assert compute(SMALL, out=tmp_path) == small  # its file is whole again
    assert len(drawn) == 12 - 4
    EXPERIMENT.store_in(tmp_path).discard()
    assert list(tmp_path.iterdir()) == []


def test_another_seed_or_eps_takes_nothing_from_the_folder(tmp_path):
    fewer: dict[str, Any] = {**asdict(SMALL), "samples": 12, "chunk": 5}
    compute(SurveyConfig(**fewer), out=tmp_path)
    for change in ({"seed": 1}, {"eps": [0, 1, 2]}):
        other = SurveyConfig(**{**fewer, **change})
        assert compute(other, out=tmp_path) == compute(other)


def test_a_damaged_parts_file_is_named_and_kept(tmp_path):
    compute(SMALL, out=tmp_path)
    (parts,) = tmp_path.iterdir()
    parts.write_text("no json\n")
    with pytest.raises(InvalidInputError, match=r"parts\.jsonl"):
        compute(SMALL, out=tmp_path)
    assert parts.read_text() == "no json\n"


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="out: got"):
        compute(SMALL, out=tmp_path / "file")


# --- files and figure --------------------------------------------------------------------------


def test_a_survey_comes_back_from_json_and_is_drawn_the_same(small, tmp_path):
    files = reproduce("survey", tmp_path / "a", config=SMALL)
    payload = json.loads(files["json"].read_text())
    assert payload["provenance"]["seed"] == 0
    assert from_json(Survey, payload["result"]) == small
    again = redraw(files["json"], tmp_path / "b")
    assert again["pdf"].read_bytes() == files["pdf"].read_bytes()


def test_the_figure_has_a_panel_per_ensemble_and_a_line_with_a_band_per_dimension(small):
    figure = draw(small)
    assert len(figure.axes) == 2
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert set(lines) >= {"$d = 2$", "$d = 4$"}
    drawn = np.asarray(lines["$d = 4$"].get_ydata())
    np.testing.assert_array_equal(drawn[~np.isnan(drawn)], small.cells[1].probability)
    assert figure.axes[0].collections
    assert len(draw(compute(SurveyConfig(samples=5, dimensions=[2]))).axes) == 4


def test_every_column_has_its_masses_below_and_a_long_legend_stays_inside():
    dimensions = range(1, 14)
    config = SurveyConfig(("ginibre", "orthogonal", "symmetric"), dimensions, (1,), samples=1)
    figure = draw(compute(config))
    figure.canvas.draw()
    assert [axes.get_xlabel() != "" for axes in figure.axes] == [False, True, True]
    assert figure.axes[1].get_xticklabels()[0].get_visible()
    assert figure.legends[0].get_window_extent().width < figure.bbox.width


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"ensembles": ["gauss"]},
        {"ensembles": "ginibre"},
        {"ensembles": []},
        {"ensembles": ["ginibre", "ginibre"]},
        {"ensembles": [3]},
        {"dimensions": [0]},
        {"dimensions": [1001]},
        {"dimensions": [2.5]},
        {"dimensions": [True]},
        {"dimensions": 3},
        {"dimensions": ["2"]},
        {"eps": []},
        {"eps": [-1]},
        {"eps": [math.nan]},
        {"eps": ["1/2", 0.5]},
        {"eps": "1/2"},
        {"samples": 0},
        {"samples": 1.5},
        {"seed": -1},
        {"seed": None},
        {"chunk": 0},
    ],
)
def test_a_configuration_outside_its_domain_is_refused(options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        SurveyConfig(**options)


def test_a_backend_that_is_refused_leaves_nothing_on_disk(tmp_path):
    with pytest.raises(InvalidInputError, match="backend"):
        compute(SMALL, out=tmp_path / "new", backend="mpi")
    assert not (tmp_path / "new").exists()


def test_large_matrices_come_in_chunks_of_64_mib():
    chunks = survey.tasks(SurveyConfig(["ginibre"], [1000], samples=20))
    assert [chunk.samples for chunk in chunks] == [8, 8, 4]  # 8 bytes per entry


def test_the_configuration_keeps_exact_masses_in_order():
    config = SurveyConfig(eps=["inf", "1/3", 0, 0.5])
    assert config.eps == (0, Fraction(1, 3), 0.5, math.inf)
    assert from_json(Survey, {"config": jsonable(config), "cells": []}).config == config
