"""The general theorem: which Jordan block sizes of one real eigenvalue a flow can produce.

A block J_k(z) of theta becomes, in psi(theta), J_k(mu) at a regular point z; blocks of sizes
ceil(k/n) and floor(k/n), n of them in all, where psi - mu vanishes to the order n; and a non-real z
comes with its conjugate, so gives blocks in equal pairs. What can be produced is therefore

- anything, when mu is taken at a regular real point;
- a union of such splits, when mu is taken on the real line at critical points only;
- every size an even number of times, when mu is taken off the real line only;
- nothing, when mu is not taken at all.

For diagonalisable matrices this is Theorem 1 of Sander et al. (2021); the second row for square
roots is Cross and Lancaster (1974), the third for the exponential Culver (1966).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from odemom.flows.base import Attainment, RealImage

__all__ = ["attainment_at", "unmet_condition"]

SHOWN = 3  # zeros in a message at most; one is as good as the many that an order may ask for


def attainment_at(image: RealImage, position: int) -> Attainment:
    """How psi takes a value on the given side of the threshold: -1 below, 0 at, +1 above."""
    if image.threshold is None or position > 0:
        return Attainment("regular")
    return image.at if position == 0 else image.below


def unmet_condition(attainment: Attainment, sizes: Sequence[int]) -> str | None:
    """The condition on Jordan block sizes that fails, in words, or None when all hold.

    Parameters
    ----------
    attainment : Attainment
        How psi takes the eigenvalue.
    sizes : sequence of int
        The sizes of its Jordan blocks, in any order.

    Examples
    --------
    >>> from odemom.flows import Attainment
    >>> unmet_condition(Attainment("pairs"), [2, 2]) is None
    True
    >>> unmet_condition(Attainment("pairs"), [1])
    'every block size must occur an even number of times, but size 1 occurs once'
    """
    if attainment.kind == "regular":
        return None
    if attainment.kind == "never":
        return "psi does not take this value anywhere"
    if attainment.kind == "pairs":
        return _unpaired(sizes)
    return _unsplit(sizes, attainment.order)


def _unpaired(sizes: Sequence[int]) -> str | None:
    odd = [(size, count) for size, count in sorted(Counter(sizes).items()) if count % 2]
    if not odd:
        return None
    found = " and ".join(f"size {size} occurs {_times(count)}" for size, count in odd)
    return f"every block size must occur an even number of times, but {found}"


def _unsplit(sizes: Sequence[int], order: int) -> str | None:
    # If the sizes are a union of splits at all, then the sorted list cut into groups of `order` is
    # one: groups that interleave hold values m, m + 1 of the same m, and can be exchanged.
    ordered = sorted(sizes, reverse=True)
    ordered += [0] * min(-len(ordered) % order, SHOWN)
    for start in range(0, len(ordered), order):
        group = ordered[start : start + order]
        if group[0] - group[-1] > 1:
            blocks = "two" if order == 2 else str(order)
            return (
                f"the block sizes, in decreasing order and {blocks} at a time, may differ by at "
                f"most 1, but {', '.join(map(str, group))} do not (0: no block)"
            )
    return None


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
