"""The guided tour, at one epoch a network."""

from __future__ import annotations

import json
import re

import pytest

from odemom.demo.matrices import EPS, examples, write_matrix_file
from odemom.demo.tour import tour
from odemom.plots import style
from odemom.representability.analyze import is_representable

VERDICTS = {  # by hand, from Theorem 1: for eps = 0, 1/10, 1/2, 2, inf
    "identity": [True] * 5,
    "−I₂": [True] * 5,
    "−I₃": [False] * 4 + [True],
    "Jordan": [False] * 5,
    "rotation": [True] * 5,
    "10 × 10": [False, False, False, True, True],
}


@pytest.mark.parametrize("i", range(6))
def test_the_six_matrices_are_decided_as_by_hand(tmp_path, i):
    example = examples(write_matrix_file(tmp_path / "matrix.txt"))[i]
    (verdicts,) = [v for key, v in VERDICTS.items() if key in example.name]
    assert [bool(is_representable(example.matrix, eps)) for eps in EPS] == verdicts


@pytest.fixture
def small_networks(monkeypatch):
    """Networks of width 8 in large batches: the page is the same, but for its numbers."""

    def configs(epochs):
        from odemom.training import TrainingConfig

        return [
            TrainingConfig(order=order, epochs=epochs, width=8, batch_size=512, method="rk4")
            for order in (1, 2)
        ]

    monkeypatch.setattr("odemom.demo.tour._configs", configs)


@pytest.mark.usefixtures("small_networks")
def test_the_tour_leaves_a_page_whose_pictures_and_numbers_exist(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(style.RC, "savefig.dpi", 300)
    page = tour(tmp_path / "demo", epochs=1)
    html = page.read_text()
    pictures = re.findall(r'<img src="([^"]+)"', html)
    assert len(pictures) == 2
    assert all((page.parent / name).stat().st_size > 10_000 for name in pictures)
    assert len(json.loads((page.parent / "decisions.json").read_text())) == 6
    for order in (1, 2):
        result = json.loads((page.parent / f"order{order}" / "result.json").read_text())
        assert f"{result['test_accuracy']:.2%}" in html
    # rich wraps lines at the width of a terminal, not inside the path
    assert str(page.resolve()) in capsys.readouterr().out
