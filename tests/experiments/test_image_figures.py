"""What the experiments on images make of their trainings: rates, verdicts, memory of a step."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Literal

import pytest
import torch

from odemom.data.images import load_images
from odemom.errors import InvalidInputError
from odemom.experiments import fig6, fig7, fig8, fig9, fine_tuning, table2
from odemom.experiments._capped_training import Learning
from odemom.experiments._halves_of_classes import write_halves
from odemom.experiments._image_step import Step, StepRequest, Steps
from odemom.experiments._image_trainings import Trained, best_rate
from odemom.records import jsonable

SOURCE = "CIFAR-10 (JPEG)"


def trained(accuracy, seed=0, rate=0.1):
    return Trained(SOURCE, rate, seed, 1000, accuracy, (accuracy,), (1.0,))


def step(megabytes):
    return Step(int(1e6 * megabytes), 1.0, "VmHWM")


def figure_9(gains):
    """Four seeds of C = 2 and C = 8; ``gains`` of second order over first."""
    runs = {"no block": (0.3, 0.4), "first order": (0.35, 0.45)}
    networks = []
    for n, channels in enumerate((2, 8)):
        for kind in fig9.KINDS:
            first = runs.get(kind, runs["first order"])[n]
            more = gains[n] if kind == "second order" else (0.0,) * 4
            each = tuple(trained(first + g, seed) for seed, g in enumerate(more))
            networks.append(fig9.Network(kind, channels, each))
    return fig9.Accuracies(SOURCE, (2, 8), 10_000, 6, 1, tuple(networks))


def test_the_rate_is_chosen_on_validation_images_and_by_the_mean():
    runs = [trained(a, seed, rate) for rate in (0.1, 0.2) for seed, a in enumerate((0.5, 0.6))]
    runs[1] = trained(0.8, 1, 0.1)
    assert {run.rate for run in best_rate(runs)} == {0.1}
    assert [run.seed for run in best_rate(runs)] == [0, 1]


@pytest.mark.parametrize("module", [fig6, fig7, fig8])
def test_a_grid_of_rates_is_refused_where_none_is_chosen(module):
    with pytest.raises(InvalidInputError, match=r"learning_rates: got .*; expected one rate"):
        module.Config(learning_rates=(0.1, 0.2))


def test_seeds_begin_where_they_are_told_to():
    """So that what was chosen on some seeds is put to the test on others."""
    for module in (fig6, fig7, fig8, fig9, fine_tuning, table2):
        every, later = (
            json.dumps(jsonable(module.tasks(module.Config(seeds=n, first_seed=s)), "tasks"))
            for n, s in ((4, 0), (2, 2))
        )
        seeds = [set(re.findall(r'"seed": (\d+)', tasks)) for tasks in (every, later)]
        assert seeds == [{"0", "1", "2", "3"}, {"2", "3"}], module.__name__


def test_seeds_are_those_of_the_generators():
    assert table2.Config(seeds=2, first_seed=2**32 - 2).all_seeds[-1] == 2**32 - 1
    for seed in (-1, 2**32 - 1):
        with pytest.raises(InvalidInputError, match="first_seed: got"):
            table2.Config(seeds=2, first_seed=seed)
    with pytest.raises(InvalidInputError, match=r"^seeds: got"):
        table2.Config(seeds=2**32 + 1)


@pytest.mark.parametrize(
    ("gains", "verdicts"),
    [
        (((0.02, 0.02, 0.02, -0.01), (0.0, 0.0, 0.01, 0.0)), ["holds", "holds", "holds"]),
        (((0.02, 0.02, -0.02, -0.01), (0.02,) * 4), ["does not hold", "does not hold", "holds"]),
        (((0.02,) * 4, (-0.06,) * 4), ["holds", "holds", "does not hold"]),
    ],
)
def test_second_order_is_better_on_three_of_four_seeds_or_it_is_said(gains, verdicts):
    assert [claim.verdict for claim in fig9.claims(figure_9(gains))] == verdicts


def test_fewer_than_three_seeds_are_not_judged():
    few = figure_9(((0.02,) * 2, (0.01,) * 2))
    networks = tuple(fig9.Network(n.kind, n.channels, n.runs[:2]) for n in few.networks)
    data = fig9.Accuracies(SOURCE, few.channels, 0, 6, 1, networks)
    assert {claim.verdict for claim in fig9.claims(data)} == {"not judged"}


@pytest.mark.parametrize(("twin", "verdict"), [(0.895, "holds"), (0.88, "does not hold")])
def test_a_twin_may_be_a_point_below_the_resnet(twin, verdict):
    values = dict(zip(table2.KINDS, (0.9, twin, 0.9, 0.5), strict=True))
    rows = tuple(
        table2.Network(kind, (trained(a), trained(a, 1)), step(100 if kind == "ResNet" else 50))
        for kind, a in values.items()
    )
    data = table2.Table(SOURCE, "resnet20", 0.9, 10, 1, 128, rows)
    accuracy, _, memory = table2.claims(data)
    assert (accuracy.verdict, memory.verdict) == (verdict, "holds")
    small = tuple(dataclasses.replace(row, step=step(2)) for row in rows)
    assert table2.claims(dataclasses.replace(data, networks=small))[2].verdict == "not judged"


def test_losses_are_counted_from_the_network_as_it_was_trained():
    moved = (
        fig6.Moved(0.0, 0.0, 0, 0.9, 0.91),
        fig6.Moved(0.0, 0.9, 0, 0.5, 0.89),
    )
    rows = tuple(fig6.Architecture(kind, (trained(0.9),)) for kind in fig6.KINDS)
    learnt = (fig6.Learnt(0, 0.93, 0.895),)
    data = fig6.Gammas(SOURCE, "resnet20", 0, 8, 2, 0.9, (0.0,), (0.0, 0.9), moved, learnt, rows)
    bare, refit, gamma, curves = fig6.claims(data)
    assert bare.verdict == "does not hold"
    assert "from 0 to 0.9: 40.00 points" in bare.measured
    assert "from 0 to 0.9: 1.00 points" in refit.measured
    assert (refit.verdict, gamma.verdict, curves.verdict) == ("holds", "holds", "holds")
    assert "0.930" in gamma.measured
    assert "from 0 to 0:" not in refit.measured  # a point won, and no loss
    assert ", 8 epochs, 1 seed, 2 epochs of refit;" in refit.measured
    won = dataclasses.replace(data, moved=(moved[0], dataclasses.replace(moved[1], refitted=0.95)))
    assert fig6.claims(won)[1].measured.endswith("the largest losses: none")


def test_memory_per_image_is_the_slope_over_the_batches():
    networks = tuple(fig7.Network(kind, 20, (trained(0.7),), step(50)) for kind in fig7.KINDS)
    peaks = (tuple(step(m) for m in (110, 210)), tuple(step(m) for m in (42, 52)))
    data = fig7.Memory(SOURCE, 1202, (1, 2), *peaks, 128, networks)
    assert (data.slope("ResNet"), data.slope("twin")) == pytest.approx((100, 10))
    assert [claim.verdict for claim in fig7.claims(data)] == ["holds", "does not hold"]


@pytest.mark.slow  # Figure 7 measures a smaller one in its quick run
def test_a_twin_of_a_deep_network_takes_less_memory_in_a_process_of_its_own():
    def request(model, *options):
        return StepRequest(model, options, 3, 10, 32, 4, "cpu")

    plain, twin = Steps(
        (request("resnet110"), request("momentum-resnet110", ("reversible", True)))
    ).measure()
    assert plain.peak > 3 * twin.peak > 0
    assert plain.gauge == twin.gauge


def test_the_time_to_an_accuracy_is_that_of_the_first_epoch_that_has_it():
    def network(kind, batch, seconds, accuracies):
        return fig8.Network(kind, (Learning(SOURCE, batch, seconds, accuracies),))

    networks = (
        network("ResNet", 16, (10.0, 20.0, 30.0), (0.3, 0.5, 0.6)),
        network("twin", 64, (5.0, 10.0, 15.0), (0.2, 0.4, 0.5)),
    )
    assert networks[0].reaches(0.5) == 20.0
    assert networks[0].reaches(0.7) == float("inf")
    data = fig8.UnderACap(SOURCE, "resnet56", "cpu", 0.9, 100, 2000, networks)
    assert [claim.verdict for claim in fig8.claims(data)] == ["holds", "holds"]
    assert (
        "50.0 % after 20 s by the ResNet, after 15 s by the twin" in fig8.claims(data)[1].measured
    )


@pytest.mark.parametrize(
    ("as_they_are", "refitted", "fresh", "verdicts"),
    [
        ((0.9, 0.88), (0.8, 0.79), (0.6, 0.6), ["holds", "holds", "holds"]),
        ((0.9, 0.5), (0.8, 0.77), (0.6, 0.78), ["does not hold"] * 3),
    ],
)
def test_a_twin_is_judged_beside_the_network_refitted_alike(as_they_are, refitted, fresh, verdicts):
    gammas, rates = (0.0, 0.9), (0.02, 0.1)
    starts: tuple[tuple[Literal["weights", "fresh"], tuple[float, ...]], ...]
    starts = ("weights", refitted), ("fresh", fresh)
    runs = tuple(
        fine_tuning.Refitted(start, gamma, rate, seed, 0.5 + rate, test if rate == 0.1 else 0.99)
        for start, values in starts
        for gamma, test in zip(gammas, values, strict=True)
        for rate in rates
        for seed in (0, 1)
    )
    pretrained = tuple(fine_tuning.Pretrained(seed, as_they_are) for seed in (0, 1))
    sizes = {"limit": 4000, "epochs": 5, "refit_limit": 1000, "refit_epochs": 4}
    data = fine_tuning.FineTuning(
        source=SOURCE, family="resnet20", gammas=gammas, rates=rates, pretrained=pretrained,
        refitted=runs, **sizes,
    )  # fmt: skip
    found = fine_tuning.claims(data)
    assert [claim.verdict for claim in found] == verdicts
    # the rate is chosen on validation images, not on those of the test
    assert f"gamma = 0.9 {100 * refitted[1]:.1f} ± 0.0 %" in found[1].measured


@pytest.mark.parametrize(
    ("limits", "tested", "message"),
    [
        ((5000, 25), 20, r"limit: got 5000; expected at most \d+, .*--set limit=0 takes all"),
        ((50, 5000), 20, r"refit_limit: got 5000"),
        ((50, 25), 5000, r"tested: got 5000"),
    ],
)
def test_more_images_than_a_half_has_are_refused(tmp_path, limits, tested, message):
    with pytest.raises(InvalidInputError, match=message):
        write_halves("digits", "", 0, limits, tested, tmp_path)


def test_halves_are_folders_with_the_classes_of_each(tmp_path):
    halves = write_halves("digits", "", 0, (50, 25), 20, tmp_path)
    whole = load_images("digits", seed=0, validation=0.0)
    for path, classes, count in ((halves.first, "01234", 50), (halves.second, "56789", 25)):
        data = load_images(str(path), root=tmp_path, validation=0.0)
        assert (data.classes, len(data.train), len(data.test)) == (tuple(classes), count, 20)
        # an image of the folder is one of the digits, its 16 levels spread over 255
        levels = (data.train.pixels[0].float() * 16 / 255).round()
        assert any(torch.equal(levels, each.float()) for each in whole.train.pixels)
