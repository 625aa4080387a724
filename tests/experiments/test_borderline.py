"""-I_2 with noise: what is certain agrees with exact arithmetic, and where certainty ends."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import odemom
from odemom import InvalidInputError
from odemom.experiments.borderline import EXPERIMENT, NOISES, Config, NoiseTable
from odemom.records import from_json
from odemom.reproduce.run import read_payload

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def table():
    return EXPERIMENT.compute(Config(samples=200))


@pytest.fixture(scope="module")
def full():
    """The full run, from its numbers on disk."""
    payload = read_payload(DOCS / "results" / "borderline.json")
    return from_json(NoiseTable, payload["result"])


def representable_2x2(matrix):
    """Of eigenvalues near -1, by the exact discriminant: a complex pair, or a scalar matrix."""
    a, b, c, d = (Fraction(float(x)) for x in matrix.flat)
    discriminant = (a - d) ** 2 + 4 * b * c
    return discriminant < 0 or (a == d and b == c == 0)


@pytest.mark.parametrize("noise", NOISES)
def test_what_is_certain_is_so_in_exact_arithmetic(noise):
    for direction in np.random.default_rng(1).standard_normal((60, 2, 2)):
        matrix = -np.eye(2) + noise * direction
        report = odemom.analyze(matrix, 0.5)
        assert odemom.is_representable(matrix, 0.5, exact=True) == representable_2x2(matrix)
        if report.status == "certain":
            assert report.representable == representable_2x2(matrix)


def test_certainty_ends_where_the_noise_is_below_the_tolerance(table):
    assert table.tol == 8 * 2 * 2.0**-53
    for row in table.rows:
        assert row.certain + row.borderline == table.samples
        if row.noise <= 1e-16:  # far below tol: -I_2 and both neighbours are within it
            assert row.certain == 0
            assert (row.split, row.turned) == ("borderline, yes", "borderline, yes")
        if row.noise >= 1e-14:  # diag(-1, -1 + noise) is noise/2 from a double eigenvalue
            assert (row.split, row.turned) == ("certain, no", "certain, yes")
        if row.noise >= 1e-12:
            assert row.certain >= 0.98 * table.samples
        if row.noise >= 1e-8:
            assert row.certain == table.samples


def test_the_exact_matrix_is_certain_and_its_rounded_twin_is_not():
    assert odemom.analyze([[-1, 0], [0, -1]], "1/2").status == "certain"
    assert odemom.analyze(-np.eye(2), 0.5).status == "borderline"


def test_the_share_of_complex_pairs_is_that_of_gaussian_matrices(table):
    # a real Gaussian 2 x 2 matrix has two real eigenvalues with probability 1/sqrt 2 (Edelman)
    row = table.rows[-1]
    p = 1 - 1 / np.sqrt(2)
    deviation = np.sqrt(p * (1 - p) / table.samples)
    assert abs(row.representable / table.samples - p) <= 4 * deviation


def test_the_numbers_on_disk_are_those_of_the_same_streams(table, full):
    few = EXPERIMENT.compute(Config(noises=(1e-8,), samples=full.samples))
    assert few.rows[0] == full.rows[NOISES.index(1e-8)]
    assert full.tol == table.tol


def test_the_documented_table_is_the_computed_one(full):
    lines = full.markdown().splitlines()
    page = (DOCS / "borderline.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith("|")][:2] == lines[:2]
    # between 1e-15 and 1e-12 the counts hang on the last bits of LAPACK
    for row, line in zip(full.rows, lines[2:], strict=True):
        noise = line.split("|")[1]
        documented = [entry for entry in page if entry.startswith(f"|{noise}|")]
        assert len(documented) == 1
        if not 1e-16 < row.noise < 1e-8:
            assert documented == [line]


def test_a_notebook_shows_the_table():
    table = EXPERIMENT.compute(Config((0.0, 1e-4), samples=2))
    html = table._repr_html_()
    assert html.count("<tr>") == 3
    assert "<td>0.0001</td>" in html


@pytest.mark.parametrize(
    "options", [{"noises": [1.0]}, {"noises": [-1e-9]}, {"samples": 0}, {"seed": -1}, {"eps": -1}]
)
def test_bad_parameters_are_refused(options):
    with pytest.raises(InvalidInputError):
        Config(**options)
