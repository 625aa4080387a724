"""The corpora, and mutations of them that are always the same: see properties.py for what holds."""

import random

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.properties import FORMATS, check, corpus_of, same, value

# Of .pt, and of a question that is answered, every try takes milliseconds.
TRIES = dict.fromkeys(FORMATS, 200) | {"mat": 100, "pt": 20, "page": 60}


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_corpus_is_read_or_refused(suffix):
    read = [check(suffix, content) for content in corpus_of(suffix)]
    assert len(read) >= 4
    assert sum(read) >= 3


@pytest.mark.parametrize("suffix", FORMATS)
def test_mutations_raise_errors_of_odemom_only_and_no_number_is_made_up(suffix):
    rng, corpus = random.Random(1), corpus_of(suffix)
    read = 0
    for _ in range(TRIES[suffix]):
        read += check(suffix, mutated(rng.choice(corpus), corpus, rng))
    assert read > 0


def test_the_oracle_knows_a_number_that_is_not_said():
    assert same(0.1, value("1/10"))
    assert not same(-3, value("-3/4"))
    assert not same(1.0, value("1x"))
    assert value("1_0") is None
    assert not same(0.1 + 0.2, value("3/10"))
