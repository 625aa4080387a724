"""The guided tour: what it decides, what its page holds, and what it does without PyTorch."""

from __future__ import annotations

import base64
import json
import re
import sys
from itertools import pairwise

import pytest

from odemom.demo import orders
from odemom.demo.matrices import EPS, examples, write_matrix_file
from odemom.demo.tour import tour
from odemom.experiments import fig4
from odemom.representability.analyze import is_representable
from odemom.reproduce import reproduce

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
def small(monkeypatch):
    """A coarse Figure 4, few frames and steps, networks of width 8: the page is the same."""

    def coarse(name, folder, **more):
        return reproduce(name, folder, config=fig4.Config(points=5, per_unit=1), **more)

    def configs(epochs):
        from odemom.training import TrainingConfig

        return [
            TrainingConfig(
                order=order, epochs=epochs, width=8, batch_size=256, limit=600, method="euler"
            )
            for order in (1, 2)
        ]

    monkeypatch.setattr("odemom.demo.tour.reproduce", coarse)
    monkeypatch.setattr("odemom.plots.mirror.animate", lambda _: None)
    monkeypatch.setattr(
        "odemom.plots.style.rendered_animation", lambda *_, **__: {"mirror.gif": b"GIF89a"}
    )
    monkeypatch.setattr(orders, "FRAMES", 3)
    monkeypatch.setattr(orders, "LINE_STEPS", 2)
    monkeypatch.setattr(orders, "configs", configs)


def pictures(html):
    """The pictures of a page, each of which it holds."""
    sources = re.findall(r'<img src="([^"]+)"', html)
    heads = {b"\x89PNG", b"GIF8"}
    content = [base64.b64decode(s.split(";base64,")[1]) for s in sources]
    assert all(data[:4] in heads for data in content)
    return content


@pytest.mark.usefixtures("small")
def test_the_tour_leaves_one_page_whose_pictures_are_inside(tmp_path, capsys):
    page = tour(tmp_path / "demo", epochs=1)
    html, out = page.read_text(), capsys.readouterr().out
    assert "up to 60 s on two cores, and some 40 s more" in " ".join(out.split("\n")[:2])
    assert len(pictures(html)) == 5
    files = [link for link in re.findall(r'href="([^"]+)"', html) if "://" not in link]
    assert len(files) == 6
    assert all(json.loads((page.parent / name).read_text()) for name in files)
    for order in (1, 2):
        result = json.loads((page.parent / f"order{order}" / "result.json").read_text())
        assert f"{result['test_accuracy']:.2%}" in html
    assert "https://proceedings.mlr.press/v139/sander21a.html" in html
    # rich wraps lines at the width of a terminal, not inside the path
    assert str(page.resolve()) in out


@pytest.mark.usefixtures("small")
def test_without_torch_the_trainings_are_left_out_and_the_rest_is_there(
    tmp_path, capsys, monkeypatch
):
    for name in ("torch", "lightning"):
        monkeypatch.setitem(sys.modules, name, None)  # what an import of it would raise on
    find = orders.importlib.util.find_spec
    monkeypatch.setattr(
        orders.importlib.util, "find_spec", lambda n: None if n in orders.FOR_DIGITS else find(n)
    )
    older = fig4.Config(points=7, per_unit=1)  # is replaced, as every other file is
    reproduce("fig4", tmp_path / "the demo [old]", config=older)
    page = tour(tmp_path / "the demo [old]")
    printed = capsys.readouterr().out
    html, out = page.read_text(), " ".join(printed.split())
    assert f"odemom check '{page.parent / 'matrix.txt'}' --eps 1/2" in printed
    assert f"written: {page.parent / 'fig4.png'}" in printed
    assert printed.endswith(f"Open {page.resolve()}\n")
    for where in (html.replace("&#x27;", "'"), out):
        assert "left out: torch, torchdiffeq not installed; pip install 'odemom[train]'" in where
        assert "left out: torch, torchdiffeq, lightning, sklearn not installed" in where
    assert "40 s more" not in out
    assert len(pictures(html)) == 4
    assert not list(page.parent.glob("order*"))
    check_decisions(html)


def check_decisions(html):
    """Matrices, a witness, and a reason where the answer changes, in symbols."""
    assert html.count('<table class="matrix">') == len(VERDICTS) + 1
    changes = [1 + sum(a != b for a, b in pairwise(v)) for v in VERDICTS.values()]
    assert html.count("<li><b>ε = ") == sum(changes)
    assert "handwritten" not in html
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    words = set(re.findall(r"[A-Za-z_]+", text.replace("--eps 1/2", "")))
    assert not words & {"theta", "lambda_eps", "eps", "inf", "psi"}
    assert "prefers-color-scheme: dark" in html
