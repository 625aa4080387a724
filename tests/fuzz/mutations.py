"""Mutations of files: bytes that change, pieces that move, and the words that break parsers."""

from __future__ import annotations

import random

__all__ = ["mutated"]

WORDS = [
    *("0", "1", "-1", "+1", "-3/4", "1/0", "1/3", "0.1", "-2.5e-1", "1e400", "1e-400", "1e100001"),
    *("1e10_000_000", "1_000", "0x1p3", "1e", "nan", "inf", "-inf", "NaN", "Infinity", "1j", "1x"),
    *("true", "false", "null", "2+3i", "3/-4", "1.5/2", "--", "+-", ".", "e", ",", ";", ":", "/"),
    *("#", "%", "[", "]", "[[", "]]", "{", "}", '"', "'", "D", "matrix", "=", "99999999999999"),
    *("9223372036854775808", "-9223372036854775809", "coordinate", "array", "real", "integer"),
    *("rational", "pattern", "complex", "general", "symmetric", "skew-symmetric", "hermitian"),
    *("%%MatrixMarket", "\u2212", "\u0663", "\u00a0", "\ufeff", "\u2028", "\x85", "\x1c", "\x0b"),
    *("\0", " ", "\t", "\n", "\r\n", "\n\n", "\n%\n", "9" * 4301, "[" * 99),
]


def mutated(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The content after one to six changes.

    Parameters
    ----------
    content : bytes
    others : list of bytes
        Files of which pieces may be put in.
    rng : random.Random
    """
    data = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        end = min(len(data), at + rng.choice((1, 1, 1, 2, 4, 8, 16, 64)))
        change = rng.randrange(8)
        if change == 0 and data:
            data[at - 1] ^= 1 << rng.randrange(8)
        elif change == 1 and data:
            data[at - 1] = rng.choice((0, 1, 9, 10, 32, 127, 128, 255, rng.randrange(256)))
        elif change == 2:
            del data[at:end]
        elif change == 3:
            data[at:at] = rng.choice(WORDS).encode()
        elif change == 4:
            data[at:end] = rng.choice(WORDS).encode()
        elif change == 5:
            data[at:at] = data[at:end] * rng.choice((1, 2, 9))
        elif change == 6:
            other = rng.choice(others)
            start = rng.randint(0, len(other))
            data[at:at] = other[start : start + rng.choice((4, 16, 64, 256))]
        else:
            del data[at if rng.random() < 0.2 else len(data) :]
    return bytes(data)
