"""The criterion on block sizes against brute force over the blocks of theta."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odemom.flows import Attainment, FirstOrder, SecondOrder, Undamped
from odemom.representability.criterion import attainment_at, unmet_condition
from tests.oracles import image_of_block, producible

ROWS = [("pairs", 1), ("critical", 2), ("critical", 3), ("critical", 4)]


def meets(kind, order, sizes):
    return unmet_condition(Attainment(kind, order), sizes) is None


@pytest.mark.parametrize(("kind", "order"), ROWS)
def test_the_criterion_is_brute_force_for_all_multisets_of_up_to_6_blocks(kind, order):
    for count in range(1, 7):
        for sizes in itertools.combinations_with_replacement(range(1, 6), count):
            assert meets(kind, order, sizes) == producible(kind, sizes, order), sizes


@pytest.mark.parametrize(("kind", "order"), ROWS)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_the_criterion_is_brute_force_for_larger_multisets(kind, order, sizes):
    assert meets(kind, order, sizes) == producible(kind, sizes, order)


@pytest.mark.parametrize("order", [2, 3, 4])
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_what_blocks_of_theta_produce_meets_the_criterion(order, blocks):
    assert meets("critical", order, [s for k in blocks for s in image_of_block(k, order)])


@pytest.mark.parametrize("sizes", [[1], [3, 1], [5, 5, 5]])
def test_regular_values_never_obstruct_and_values_never_taken_always_do(sizes):
    assert meets("regular", 1, sizes)
    assert not meets("never", 1, sizes)


@pytest.mark.parametrize(
    ("kind", "order", "sizes", "words"),
    [
        ("pairs", 1, [2, 2, 2, 1], "size 1 occurs once and size 2 occurs 3 times"),
        ("pairs", 1, [4], "size 4 occurs once"),
        ("critical", 2, [3, 1], "two at a time, may differ by at most 1, but 3, 1 do not"),
        ("critical", 2, [2], "but 2, 0 do not"),
        ("critical", 3, [2, 2], "3 at a time, may differ by at most 1, but 2, 2, 0 do not"),
        ("critical", 3, [2], "but 2, 0, 0 do not"),
        ("never", 1, [1], "does not take this value anywhere"),
    ],
)
def test_the_condition_that_fails_is_named(kind, order, sizes, words):
    assert words in str(unmet_condition(Attainment(kind, order), sizes))


@pytest.mark.parametrize(
    ("flow", "kinds"),
    [
        (FirstOrder(), ("pairs", "never", "regular")),
        (SecondOrder(1), ("pairs", "critical", "regular")),
        (Undamped(), ("pairs", "critical", "regular")),
        (SecondOrder(1, "field"), ("regular", "regular", "regular")),
    ],
)
def test_flows_take_values_below_at_and_above_the_threshold_as_in_the_table(flow, kinds):
    found = tuple(attainment_at(flow.real_image, side).kind for side in (-1, 0, 1))
    assert found == kinds
