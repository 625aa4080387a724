"""theta as `psi_multiply` takes it: an array, a sparse array or an operator known by its products.

From each come its product with a block of vectors and bounds of its size.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.csgraph as sparse_graph
import scipy.sparse.linalg as sparse_linalg

from odemom.checks import as_float_matrices, expect, invalid, require_finite, require_square
from odemom.errors import OdemomError
from odemom.propagator.plans import LARGEST

__all__ = ["Operator", "as_operator"]

# SciPy's estimate of a norm is a lower bound, as a rule within this factor (Higham and Tisseur,
# SIAM J. Matrix Anal. Appl. 21, 2000).
ESTIMATE_FACTOR = 3.0
# What a theta that was computed to be symmetric may lack of it, in its 1-norm: eight units.
ROUNDOFF = 2.0**-50
# The same of a theta known by its products, which may have been computed with less care.
ASYMMETRY_SEEN = 1e-8
# How many times longer an operation takes in sparse factors than in full ones.
SPARSE_OPERATION = 10
# Per row, of a theta known by its products only.
GUESSED_ENTRIES = 10


@dataclass(frozen=True)
class Operator:
    """A real linear map of R^d.

    Attributes
    ----------
    given : Any
        The argument, where only its products are known.
    apply : callable
        The product with a block of vectors, shape (d, k).
    dimension : int
    matrix : ndarray of float64, csr_array or None
        The entries, where they are known.
    """

    given: Any
    apply: Callable[[np.ndarray], np.ndarray]
    dimension: int
    matrix: Any = None

    @property
    def is_dense(self) -> bool:
        """Whether it is an array."""
        return isinstance(self.matrix, np.ndarray)

    @cached_property
    def entries(self) -> int:
        """How many a product reads; a guess where the entries are not known."""
        if self.matrix is None:
            return GUESSED_ENTRIES * self.dimension
        return self.matrix.size if self.is_dense else int(self.matrix.nnz)

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether it is known to be, up to roundoff."""
        if self.matrix is None:
            return False
        asymmetry = float(abs(self.matrix - self.matrix.T).sum(axis=0).max())
        size = float(abs(self.matrix).sum(axis=0).max())
        return asymmetry <= ROUNDOFF * size < math.inf

    def require_symmetric(self) -> None:
        """Refuse a theta that is not symmetric: by its entries, or by two products with it.

        The products tell what Chebyshev's recurrence would not suffer from; what it would, it tells
        by itself.
        """
        if self.matrix is None:
            probes = (
                np.random.default_rng(0).integers(-999, 1000, (self.dimension, 2)).astype(float)
            )
            images = self.apply(probes)
            there, back = probes.T @ images
            size = np.linalg.norm(probes, axis=0) @ np.linalg.norm(images, axis=0)[::-1]
            symmetric = not abs(there[1] - back[0]) > ASYMMETRY_SEEN * size
        else:
            symmetric = self.is_symmetric
        expect(
            symmetric,
            "interval",
            got="an interval beside a theta that is not symmetric",
            expected="a symmetric theta, or no interval",
            fix="Leave the interval out.",
        )

    def dense(self) -> np.ndarray:
        """The entries as an array, if need be from a product with I."""
        if self.matrix is None:
            return self.apply(np.eye(self.dimension))
        return self.matrix if self.is_dense else self.matrix.toarray()

    @cached_property
    def gershgorin(self) -> tuple[float, float]:
        """An interval that contains the spectrum, if the entries are known and symmetric."""
        diagonal = self.matrix.diagonal()
        radii = np.asarray(abs(self.matrix).sum(axis=0)).ravel() - np.abs(diagonal)
        return float((diagonal - radii).min()), float((diagonal + radii).max())

    def bounds_of_factors(self) -> tuple[float, float]:
        """Bounds of the entries of the factors of a matrix of this structure, and of operations.

        Those of an array, or of a banded matrix whose rows Cuthill and McKee have put in order if
        that is cheaper: an ordering that saves more entries does better.
        """
        d = self.dimension
        full = float(d * d), 2 / 3 * d**3
        if self.is_dense:
            return full
        banded = d * (2.0 * self.width + 1), SPARSE_OPERATION * 2 * d * self.width**2
        return min(full, banded, key=lambda bounds: bounds[1])

    @cached_property
    def width(self) -> int:
        """The half width of the band, of a sparse array."""
        order = sparse_graph.reverse_cuthill_mckee(scipy.sparse.csr_array(self.matrix))
        place = np.empty(self.dimension, dtype=np.int64)
        place[order] = np.arange(self.dimension)
        rows, columns = self.matrix.nonzero()
        return int(np.abs(place[rows] - place[columns]).max(initial=0))

    def solver(self, pole: float) -> Callable[[np.ndarray], np.ndarray] | None:
        """The product of (I - ``pole`` theta)^-1 with a vector, or None where that is singular."""
        d = self.dimension
        if self.is_dense or SPARSE_OPERATION * 3 * self.width**2 > d**2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)
                factors = scipy.linalg.lu_factor(np.eye(d) - pole * self.dense())
            return lambda vector: scipy.linalg.lu_solve(factors, vector, check_finite=False)
        identity = scipy.sparse.eye_array(d, format="csc")
        shifted = scipy.sparse.csc_array(identity - pole * self.matrix)
        try:
            return sparse_linalg.splu(shifted).solve
        except RuntimeError:  # SciPy's word for an exactly singular matrix
            return None

    def around_spectrum(self) -> list[np.ndarray]:
        """Points on Gershgorin's discs, by rows and by columns: the spectrum is within either."""
        diagonal = self.matrix.diagonal()
        turns = np.exp(1j * np.linspace(0, math.pi, 9))[:, None]
        sums = [np.asarray(abs(self.matrix).sum(axis=axis)).ravel() for axis in (0, 1)]
        return [diagonal + (total - np.abs(diagonal)) * turns for total in sums]

    @property
    def center(self) -> float:
        """The mean of the diagonal, 0 where that is not known."""
        return 0.0 if self.matrix is None else float(self.matrix.diagonal().mean())

    def minus(self, center: float) -> Operator:
        """The operator minus ``center`` times I."""
        if center == 0:
            return self
        d = self.dimension
        if scipy.sparse.issparse(self.matrix):
            moved = self.matrix - center * scipy.sparse.eye_array(d, format="csr")
            return _of_entries(scipy.sparse.csr_array(moved))
        return _of_entries(self.matrix - center * np.eye(d))

    def size(self) -> float:
        """The alpha of a Taylor series: ||theta|| or max(||theta²||^(1/2), ||theta³||^(1/3)).

        The smaller of the two, of estimates in the 1-norm.
        """
        if self.matrix is None:
            operator: Any = _with_transpose(self.given)
            norm = ESTIMATE_FACTOR * _estimate(operator)
        else:
            operator = sparse_linalg.aslinearoperator(self.matrix)
            norm = float(np.asarray(abs(self.matrix).sum(axis=0)).max())
        expect(
            not math.isnan(norm),
            "theta",
            got="products with vectors that are not finite",
            expected="finite products with vectors of entries near 1",
        )
        if not 1 / LARGEST < norm < math.inf:
            return norm
        return min(norm, max(_root(operator, norm, p) for p in (2, 3)))


def as_operator(theta: Any) -> Operator:
    """The operator that an array, a sparse array or a LinearOperator stands for.

    Raises
    ------
    InvalidInputError
        If it is not square and real, or has an entry that is not finite.
    """
    if isinstance(theta, sparse_linalg.LinearOperator):
        shape: Any = theta.shape
        require_square(shape, "theta", stacks=False)
        expect(
            np.dtype(theta.dtype or float).kind in "biuf",
            "theta",
            got=f"a LinearOperator of dtype {theta.dtype}",
            expected="a real one",
        )
        return Operator(theta, _own_product(theta.matmat), shape[0])
    if scipy.sparse.issparse(theta):
        require_square(theta.shape, "theta", stacks=False)
        if theta.dtype.kind not in "biuf":
            raise invalid("theta", got=f"a sparse array of {theta.dtype}", expected="a real one")
        matrix: Any = scipy.sparse.csr_array(theta, dtype=np.float64)
        require_finite(matrix.data, "theta (stored entries)")
        return _of_entries(matrix)
    return _of_entries(as_float_matrices(theta, "theta", stacks=False))


def _of_entries(matrix: Any) -> Operator:
    return Operator(matrix, lambda block: matrix @ block, matrix.shape[0], matrix)


def _own_product(product: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The product as a float64 array that nobody else holds."""

    def apply(block: np.ndarray) -> np.ndarray:
        image = np.asarray(product(block))
        expect(
            image.dtype.kind in "biuf",
            "theta",
            got=f"a LinearOperator whose products are of dtype {image.dtype}",
            expected="one with real products",
        )
        return np.array(image, dtype=np.float64)

    return apply


def _root(operator: Any, norm: float, p: int) -> float:
    """||theta^p||^(1/p), by powers of theta/||theta||, which do not overflow."""
    near_one = ESTIMATE_FACTOR * _estimate((operator * (1 / norm)) ** p)
    if near_one > 0:
        return norm * near_one ** (1 / p)
    # Of theta^p = 0, or of entries that vanish beside the largest.
    plain = ESTIMATE_FACTOR * _estimate(operator**p)
    return plain ** (1 / p) if math.isfinite(plain) else math.inf


def _with_transpose(theta: Any) -> Any:
    """The operator with products of its own, if it has those of the transpose too."""
    try:
        theta.rmatmat(np.zeros((theta.shape[0], 1)))
    except (NotImplementedError, TypeError):  # SciPy raises either, by how it was made
        raise invalid(
            "theta",
            got="a LinearOperator without rmatvec",
            expected="one with it, from which the norm is estimated",
            fix="Give rmatvec, or interval=(low, high) if theta is symmetric.",
        ) from None
    forward, backward = _own_product(theta.matmat), _own_product(theta.rmatmat)
    make: Any = sparse_linalg.LinearOperator
    return make(
        theta.shape,
        matvec=lambda x: forward(x.reshape(-1, 1)),
        rmatvec=lambda x: backward(x.reshape(-1, 1)),
        matmat=forward,
        rmatmat=backward,
        dtype=np.float64,
    )


def _estimate(operator: Any) -> float:
    """Of the 1-norm, or nan; SciPy draws from NumPy's global generator, which is put back."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        return float(np.asarray(sparse_linalg.onenormest(operator)))
    except OdemomError:
        raise
    except ValueError:  # SciPy stumbles over nan
        return math.nan
    finally:
        np.random.set_state(state)  # noqa: NPY002
