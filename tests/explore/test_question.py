"""Fields become exact numbers, or a sentence."""

import math
from fractions import Fraction

import pytest

from odemom.errors import InvalidInputError
from odemom.explore.question import question_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-3/4", Fraction(-3, 4)),
        (" −0.75 ", Fraction(-3, 4)),
        ("1e-3", Fraction(1, 1000)),
        ("+7", 7),
        (".5", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
    ],
)
def test_entries_are_exact(text, value):
    assert question_of({"matrix": [[text]], "eps": "1"}).matrix == ((value,),)


@pytest.mark.parametrize(
    ("fields", "eps"),
    [
        ({"eps": "1/2"}, Fraction(1, 2)),
        ({"eps": "0"}, 0),
        ({"eps": "inf"}, math.inf),
        ({"eps": "∞"}, math.inf),
        ({"gamma": "9/10"}, 10),
        ({"gamma": "0.9"}, 10),
        ({"gamma": "1"}, math.inf),
    ],
)
def test_the_mass_is_given_as_it_is_or_by_gamma(fields, eps):
    assert question_of({"matrix": [["1"]], **fields}).eps == eps


def test_gamma_is_that_of_the_mass():
    question = question_of({"matrix": [["1"]], "eps": "4"})
    assert question.gamma == Fraction(3, 4)
    assert question_of({"matrix": [["1"]], "eps": "inf"}).gamma == 1
    assert question_of({"matrix": [["1"]], "eps": "0"}).gamma is None


ONE = [["1"]]


@pytest.mark.parametrize("text", ["NaN", "1e400", "-1", "", "x", "1e-5", "10001", "1e-400"])
def test_a_mass_that_is_none_is_told_one_range(text):
    with pytest.raises(InvalidInputError, match="from 1/10000 to 10000, or 0, or inf"):
        question_of({"matrix": ONE, "eps": text})


@pytest.mark.parametrize("text", ["NaN", "inf", "-1", "", "x", "1.5", "0.99999"])
def test_a_momentum_that_is_none_is_told_one_range(text):
    with pytest.raises(InvalidInputError, match=r"a number from 0 to 0\.9999, or 1"):
        question_of({"matrix": ONE, "gamma": text})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"matrix": [["x"]], "eps": "1"}, "row 1, column 1: got 'x'; expected an integer"),
        ({"matrix": [["1", "0"], ["2+3i", "1"]], "eps": "1"}, "row 2, column 1.*complex eigenv"),
        ({"matrix": [["1/0"]], "eps": "1"}, "denominator other than 0"),
        ({"matrix": [["1e31"]], "eps": "1"}, "exponent of at most 30"),
        ({"matrix": [["1e999999999999"]], "eps": "1"}, "exponent of at most 30"),
        ({"matrix": [["1000001"]], "eps": "1"}, "size up to 1,000,000"),
        ({"matrix": [["1" * 41]], "eps": "1"}, "at most 40 characters"),
        ({"matrix": [[""]], "eps": "1"}, "got nothing"),
        ({"matrix": [[1]], "eps": "1"}, "got 1; expected an integer"),
        ({"matrix": [["1", "2"]], "eps": "1"}, "as many entries in each"),
        ({"matrix": [["1"] * 5] * 5, "eps": "1"}, "one to four rows"),
        ({"matrix": [], "eps": "1"}, "one to four rows"),
        ({"matrix": ONE}, "eps: got None"),
        ({"matrix": ONE, "eps": "-1"}, "negative mass"),
        ({"matrix": ONE, "eps": "nan"}, "eps: got the text 'nan'"),
        ({"matrix": ONE, "eps": "1e-5"}, "odemom check takes any mass"),
        ({"matrix": ONE, "eps": "1e99999999"}, "eps: got '1e99999999'"),
        ({"matrix": ONE, "gamma": "2"}, "gamma: got '2'"),
        ({"matrix": ONE, "gamma": "0.99999"}, "from 0 to 0.9999, or 1"),
        ({"matrix": ONE, "gamma": ""}, "gamma: got nothing; expected a number from 0 to 0.9999"),
        ({"matrix": ONE, "eps": "1", "gamma": "1/2"}, "either of the two"),
        ({"matrix": ONE, "eps": "1", "layers": "65"}, "layers: got '65'; expected an integer from"),
        ({"matrix": ONE, "eps": "1", "layers": "²"}, "layers: got '²'"),
        ({"matrix": ONE, "eps": "1", "floats": "yes"}, "floats: got 'yes'; expected true or false"),
        ({"matrix": ONE, "eps": "1", "__class__": ""}, "the page's fields"),
        ([], "the page's fields"),
        (None, "the page's fields"),
    ],
)
def test_what_is_no_question_is_answered_with_a_sentence(fields, words):
    with pytest.raises(InvalidInputError, match=words) as refused:
        question_of(fields)
    assert "\n" not in str(refused.value)
