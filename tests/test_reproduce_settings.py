"""What `reproduce` is asked for: settings by name, and those that do not fit."""

from __future__ import annotations

import pytest

from odemom import InvalidInputError
from odemom.experiments import fig4
from odemom.experiments.frame import load
from odemom.reproduce import configured


def test_settings_change_fields_of_the_full_or_the_quick_configuration():
    experiment = load("survey")
    config = configured(
        experiment, quick=True, settings=["samples=50", "eps=0, 1/2,inf", "ensembles=ginibre"]
    )
    assert (config.samples, config.ensembles, len(config.eps)) == (50, ("ginibre",), 3)
    assert config.dimensions == experiment.quick.dimensions


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("point=5", "Did you mean points"),
        ("points=many", "expected an integer"),
        ("points=1_0", "expected an integer"),
        ("points=1", "points: got 1"),
        ("points", "expected key=value"),
        ("nothing=1", r"points \(an integer\), per_unit"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_by_name(setting, message):
    with pytest.raises(InvalidInputError, match=message):
        configured(fig4.EXPERIMENT, settings=[setting])


@pytest.mark.parametrize("option", [{"seeds": 3}, {"device": "cpu"}])
def test_an_experiment_without_seeds_or_device_says_so(option):
    with pytest.raises(InvalidInputError, match="the experiment fig4 has none"):
        configured(fig4.EXPERIMENT, **option)


def test_an_unknown_experiment_suggests_the_nearest():
    with pytest.raises(InvalidInputError, match="Did you mean discrete-lambda"):
        load("discrete-lamda")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("eps=1e9999999999", "exponent"),
        ("noises=1e99999999999", "noises: got .* expected a number"),
        ("noises=0", "at least one of them > 0"),
        ("noises=1e-999", "at least one of them > 0"),
    ],
)
def test_numbers_that_take_for_ever_or_draw_nothing_are_refused(setting, message):
    with pytest.raises(InvalidInputError, match=message):
        configured(load("borderline"), settings=[setting])


def test_masses_that_take_hours_are_refused_by_name():
    with pytest.raises(InvalidInputError, match="decades: got 30; expected an integer from 1 to 5"):
        configured(load("prop2"), settings=["decades=30"])


def test_a_key_that_is_set_twice_and_too_many_seeds_are_refused():
    with pytest.raises(InvalidInputError, match="twice"):
        configured(fig4.EXPERIMENT, settings=["points=5", "points=6"])
    with pytest.raises(InvalidInputError, match="from 1 to 10000"):
        configured(load("prop4"), seeds=10**9)
    with pytest.raises(InvalidInputError, match="from 2 to 100000"):
        configured(fig4.EXPERIMENT, settings=["points=100000000000000"])
