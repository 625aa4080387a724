"""Components of small matrices, by sets of bits, are those that SciPy finds."""

from __future__ import annotations

import flint
import numpy as np

from odemom.representability import blocks
from odemom.representability.blocks import Blocks


def sorted_rows(parts):
    return sorted(tuple(sorted(part)) for part in parts)


def test_components_and_what_lies_between_them_are_those_of_sparse_patterns(monkeypatch):
    rng = np.random.default_rng(0)
    for _ in range(150):
        d, density = int(rng.integers(1, 13)), rng.choice([0.05, 0.1, 0.2, 0.4, 1.0])
        matrix = flint.fmpz_mat((rng.random((d, d)) < density).astype(int).tolist())
        small, sparse = Blocks(matrix), Blocks(matrix)
        members = small.members
        chosen = rng.choice(len(members), rng.integers(1, len(members) + 1), replace=False)
        between = small.between(chosen.tolist())
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "SMALL", 0)
            assert sorted_rows(members) == sorted_rows(sparse.members)
            same = [int(sparse.labels[members[k][0]]) for k in chosen]
            assert sorted_rows(between) == sorted_rows(sparse.between(same))
