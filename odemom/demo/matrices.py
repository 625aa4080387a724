"""Six matrices that show what decides representability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from odemom.matrix_files import read_matrix

__all__ = ["EPS", "Example", "examples"]

EPS = ("0", "1/10", "1/2", "2", "inf")

# Sixteenths of a random integer matrix, written as text so that the tour reads it from a file. Its
# eigenvalues: four real ones, of which one is negative, -0.689, and three conjugate pairs.
SEED, DENOMINATOR = 226, 16


@dataclass(frozen=True)
class Example:
    """A matrix of the tour.

    Attributes
    ----------
    name : str
    matrix : array_like, shape (d, d)
    lesson : str
        What it teaches, in a sentence.
    """

    name: str
    matrix: Any
    lesson: str


def write_matrix_file(path: Path) -> Path:
    """Write the 10 x 10 matrix of the tour as text, entries such as -3/16."""
    from odemom.records import write_text_atomic

    entries = np.random.default_rng(SEED).integers(-4, 5, (10, 10))
    lines = [" ".join(f"{entry}/{DENOMINATOR}" for entry in row) for row in entries]
    header = "# a real 10 x 10 matrix: a row a line, entries separated by white space"
    return write_text_atomic(path, "\n".join([header, *lines]) + "\n")


def examples(matrix_file: Path) -> list[Example]:
    """The six matrices; the last is read from ``matrix_file``."""
    angle = np.pi - 0.1
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [
        Example(
            "the identity I₃",
            [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            "Do nothing: θ = 0 does it, for every ε.",
        ),
        Example(
            "−I₂",
            [[-1, 0], [0, -1]],
            "−1 lies below every threshold, but twice with equal blocks: turn the plane by π.",
        ),
        Example(
            "−I₃",
            [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
            "In odd dimension one −1 is left without a partner; only ε = ∞ reaches −1 itself.",
        ),
        Example(
            "the Jordan block J₂(−1)",
            [[-1, 1], [0, -1]],
            "One block of size 2 has no partner of its size: multiplicity 2 is not enough.",
        ),
        Example(
            "the rotation by π − 0.1",
            rotation,
            "Almost −I₂, but its eigenvalues are not real, and non-real ones never obstruct.",
        ),
        Example(
            f"a 10 × 10 matrix from {matrix_file.name}",
            read_matrix(matrix_file),
            "Its one negative eigenvalue, −0.689, is reached as soon as λ_ε is below it.",
        ),
    ]
