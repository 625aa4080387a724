"""Bytes in words, and the fullest moment of a step as a function of the batch."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from odemom.checks import readable
from odemom.errors import InvalidInputError
from odemom.nn.memory.report import StepMemory, TrainingMemory, envelope


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"), (1, "1 bytes"), (1000, "1.00 kB"), (12345, "12.3 kB"), (999_000, "999 kB"),
        (10**6, "1.00 MB"), (10**9, "1.00 GB"), (1.5e12, "1.50 TB"), (2e16, "20000 TB"),
        (999_999, "1.00 MB"), (99_990, "100 kB"),
    ],
)  # fmt: skip
def test_bytes_are_said_in_the_unit_that_fits(size, said):
    assert readable(size) == said


@pytest.mark.parametrize("seed", range(20))
def test_the_envelope_is_the_fullest_moment_of_every_batch(seed):
    rng = random.Random(seed)
    lines = [(rng.randrange(100), rng.randrange(20)) for _ in range(rng.randrange(1, 30))]
    series = {b: [a + c * b for a, c in lines] for b in (3, 6)}
    upper = envelope((3, 6), series[3], series[6])
    for b in range(1, 200):
        assert max(a + c * b for a, c in upper) == max(a + c * b for a, c in lines)
    assert len(upper) <= len(lines)


def test_steps_that_made_other_tensors_are_compared_by_their_peaks():
    assert envelope((2, 4), [5, 10], [1, 20, 3]) == ((0, 5),)


def step_memory(lines, **options):
    known = {"batch": 4, "peak": round(max(a + 4 * c for a, c in lines)), "parts": {"f": 1}}
    known |= {"held": 1000, "parameters": 400, "bytes_a_sample": 10.0, "lines": tuple(lines)}
    return StepMemory(**known | options)


def test_the_largest_batch_fits_and_the_next_one_does_not():
    step = step_memory([(500.0, 3.0), (20.0, 8.0)])
    for memory, optimizer in itertools.product((1600, 2000, 12345, 10**9), (0, 1, 2)):
        largest = step.largest_batch(memory, optimizer=optimizer)
        assert largest == 0 or step.total(largest, optimizer=optimizer) <= memory
        assert step.total(largest + 1, optimizer=optimizer) > memory
    assert step.total(4) == 1000 + 40 + max(512, 52)
    assert step.total(4, optimizer=2) == step.total(4) + 800


def test_the_largest_batch_grows_with_the_memory():
    step = step_memory([(500.0, 3.0), (20.0, 8.0)])
    found = [step.largest_batch(memory) for memory in range(1, 6000, 7)]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[-1] > 100


@pytest.mark.parametrize("memory", [0, -1, math.nan, math.inf, None, True, "much"])
def test_memory_that_is_no_positive_number_is_refused(memory):
    with pytest.raises(InvalidInputError, match=r"memory \(in bytes\): got .* finite number > 0"):
        step_memory([(1.0, 1.0)]).largest_batch(memory)


def test_a_step_known_for_one_batch_says_so():
    step = step_memory([(1.0, 1.0)], one_batch="it has 4 names")
    assert step.at(4) == step.peak
    assert step.further_sample() == "unknown"
    with pytest.raises(InvalidInputError, match=r"known for 4 alone: it has 4 names"):
        step.largest_batch(1e9)


def test_the_table_has_a_line_for_each_part_and_for_small_ones_together():
    plain = step_memory([(0.0, 1.0)], peak=10**6, parts={"a": 900_000, "b": 99_000, "c": 1, "d": 9})
    twin = step_memory([(0.0, 1.0)], peak=10**5, parts={"a": 10**5})
    report = TrainingMemory("Net", 4, 400, 400, 200, 40, plain, twin, "", "plain", {"a": "exact"})
    lines = [line.split() for line in str(report).splitlines()]
    assert ["a", "900", "kB", "100", "kB", "exact"] in lines
    assert ["b", "99.0", "kB", "0", "bytes"] in lines
    assert ["the", "rest", "10", "bytes", "0", "bytes"] in lines
    assert ["together", "1.00", "MB", "100", "kB"] in lines
    assert report.ratio == 0.1
    assert report.step is plain
    alone = TrainingMemory("Net", 4, 400, 400, 200, 40, plain, None, "it has no blocks")
    assert math.isnan(alone.ratio)
    assert str(alone).endswith("no momentum twin: it has no blocks")
