"""psi(theta) X without psi(theta): products of theta with blocks of vectors only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy.fft
import scipy.sparse
import scipy.sparse.linalg as sparse_linalg

from odemom.checks import (
    as_float_array,
    as_float_matrices,
    expect,
    invalid,
    require_finite,
    require_square,
    shown,
)
from odemom.errors import OdemomError, ResultOverflowError
from odemom.flows.base import Flow
from odemom.flows.kernel_series import kernel_coefficients
from odemom.flows.plans import LARGEST, growth_radius
from odemom.flows.psi import flow_of, on_unit_interval

__all__ = ["psi_multiply"]

UNIT = 2.0**-53
# The growth of C over one Taylor step: terms of alternating sign lose at most its square, two and a
# half digits, for a third of the products that a loss of one digit would take.
STEP_GROWTH = 20.0
MOST_TERMS = 60
# SciPy's estimate of a norm is a lower bound, as a rule within this factor (Higham and Tisseur,
# SIAM J. Matrix Anal. Appl. 21, 2000).
MARGIN = 3.0
# Over Gershgorin's interval the expansion loses as many digits as psi has there beyond 1.
LARGEST_PSI = 100.0
LARGEST_EXPANSION = 2**20
MOST_STEPS = 10**6


def psi_multiply(
    theta: Any,
    X: Any,
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
    interval: tuple[float, float] | None = None,
) -> np.ndarray:
    """psi(theta) X, for sparse theta or one that is known by its products only.

    Parameters
    ----------
    theta : array_like, sparse array or LinearOperator, shape (d, d)
        Real. A LinearOperator needs ``rmatvec`` (for the estimate of its norm), or ``interval``.
    X : array_like of real numbers, shape (d,) or (d, k)
    eps : number or str in [0, inf], or Flow
        As for `psi`.
    horizon : number, default 1
    initial_velocity : {"zero", "field"}, default "zero"
        As for `psi`.
    interval : tuple of two floats, optional
        Contains the spectrum of theta, which must then be symmetric. Symmetric matrices get
        Gershgorin's by themselves, if psi is at most 100 there.

    Returns
    -------
    ndarray of float64, shape of ``X``

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.
    ResultOverflowError
        If the result exceeds the range of doubles.

    Notes
    -----
    Symmetric theta: a Chebyshev expansion of psi on the interval, cut where its coefficients have
    fallen to the roundoff of max |psi|. In the 2-norm its error is of the order of (number of
    terms) u max |psi| ||X||, the maximum over the interval; of a psi that oscillates (-theta much
    larger than 1/eps) it takes of the order of T (||theta||/eps)^(1/2) products, of one that
    decays (T ||theta||)^(1/2).

    Other theta: steps of the state (x, x') by Taylor polynomials of degree <= 58, whose terms are
    bounded beforehand by ||theta||_1 and estimates of ||theta²||, ||theta³||; for eps = 0 of theta
    minus the mean of its diagonal. No more than a few
    blocks the size of X are kept: O(nnz + d k) memory.

    References
    ----------
    Al-Mohy and Higham, Computing the action of the matrix exponential, SIAM J. Sci. Comput. 33,
    2011; Tal-Ezer and Kosloff, J. Chem. Phys. 81, 1984 (Chebyshev expansion in time).

    Examples
    --------
    The telegraph equation eps u_tt + u_t = u_xx on a grid, from a bump:

    >>> import numpy as np, odemom, scipy.sparse
    >>> n = 200
    >>> second = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n))
    >>> mode = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))  # an eigenvector
    >>> u = odemom.psi_multiply((n + 1) ** 2 * second, mode, 0.1)
    >>> value = -4 * (n + 1) ** 2 * np.sin(np.pi / (2 * n + 2)) ** 2
    >>> bool(np.allclose(u, odemom.flows.SecondOrder(0.1).scalar(value) * mode, atol=1e-11))
    True
    """
    model = flow_of(eps, horizon=horizon, initial_velocity=initial_velocity)
    apply, d, matrix = _operator(theta)
    block, flat = _block(X, d)
    with np.errstate(all="ignore"):
        if interval is None and matrix is not None and _is_symmetric(matrix):
            # The expansion is as good as psi is on the whole interval, which may reach far beyond
            # the spectrum: it costs two digits at most, or is not taken.
            bounds = gershgorin(matrix)
            interval = bounds if model.scalar(bounds[1]) <= LARGEST_PSI else None
        if interval is not None:
            result = chebyshev(apply, block, model, *_ends(interval))
        else:
            center = 0.0
            if matrix is not None and on_unit_interval(model, np.ones((1, 1)))[1] == 0:
                # exp(theta) = e^c exp(theta - c I), which is of smaller norm.
                center = float(matrix.diagonal().mean())
                matrix = _minus(matrix, center)
                apply = _product_with(matrix)
            result = taylor(apply, block, model, _size(theta, matrix), center)
    if not np.isfinite(result).all():
        raise ResultOverflowError("psi_multiply: psi(theta) X exceeds the range of doubles.")
    return result[:, 0] if flat else result


# --- arguments ---------------------------------------------------------------------------------


def _operator(theta: Any) -> tuple[Callable[[np.ndarray], np.ndarray], int, Any]:
    """The product with a block, d, and theta itself where its entries are known."""
    if isinstance(theta, sparse_linalg.LinearOperator):
        shape: Any = theta.shape
        require_square(shape, "theta", stacks=False)
        expect(
            np.dtype(theta.dtype or float).kind in "biuf",
            "theta",
            got=f"a LinearOperator of dtype {theta.dtype}",
            expected="a real one",
        )
        return _own_product(theta.matmat), shape[0], None
    if scipy.sparse.issparse(theta):
        require_square(theta.shape, "theta", stacks=False)
        if theta.dtype.kind not in "biuf":
            raise invalid("theta", got=f"a sparse array of {theta.dtype}", expected="a real one")
        matrix: Any = scipy.sparse.csr_array(theta, dtype=np.float64)
        require_finite(matrix.data, "theta (stored entries)")
    else:
        matrix = as_float_matrices(theta, "theta", stacks=False)
    return _product_with(matrix), matrix.shape[0], matrix


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


def _product_with(matrix: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda block: matrix @ block


def _minus(matrix: Any, center: float) -> Any:
    d = matrix.shape[0]
    if scipy.sparse.issparse(matrix):
        return scipy.sparse.csr_array(matrix - center * scipy.sparse.eye_array(d, format="csr"))
    return matrix - center * np.eye(d)


def _block(X: Any, d: int) -> tuple[np.ndarray, bool]:
    """X with two axes, and whether it had one."""
    array = as_float_array(X, "X", "real numbers")
    expect(
        array.ndim in (1, 2) and array.shape[0] == d,
        "X",
        got=f"shape {array.shape}",
        expected=f"shape ({d},) or ({d}, k)",
    )
    return array.reshape(d, -1), array.ndim == 1


def _ends(interval: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in interval)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    expect(
        -math.inf < low <= high < math.inf,
        "interval",
        got=shown(interval),
        expected="two finite numbers, the lower first",
    )
    return low, high


def _is_symmetric(matrix: Any) -> bool:
    if scipy.sparse.issparse(matrix):
        return (matrix != matrix.T).nnz == 0
    return bool((matrix == matrix.T).all())


def gershgorin(matrix: Any) -> tuple[float, float]:
    """An interval that contains the spectrum of a symmetric matrix."""
    diagonal = matrix.diagonal()
    radii = np.asarray(abs(matrix).sum(axis=0)).ravel() - np.abs(diagonal)
    return float((diagonal - radii).min()), float((diagonal + radii).max())


def _size(theta: Any, matrix: Any) -> float:
    """alpha: the smaller one of ||theta|| and max(||theta²||^(1/2), ||theta³||^(1/3))."""
    if matrix is None:
        operator: Any = _with_transpose(theta)
        norm = MARGIN * _estimate(operator)
    else:
        operator = sparse_linalg.aslinearoperator(matrix)
        norm = float(np.asarray(abs(matrix).sum(axis=0)).max())
    expect(
        not math.isnan(norm),
        "theta",
        got="products with vectors that are not finite",
        expected="finite products with vectors of entries near 1",
    )
    if not 1 / LARGEST < norm < math.inf:
        return norm
    return min(norm, max(_root(operator, norm, p) for p in (2, 3)))


def _root(operator: Any, norm: float, p: int) -> float:
    """||theta^p||^(1/p), by powers of theta/||theta||, which do not overflow."""
    near_one = MARGIN * _estimate((operator * (1 / norm)) ** p)
    if near_one > 0:
        return norm * near_one ** (1 / p)
    # Of theta^p = 0, or of entries that vanish beside the largest.
    plain = MARGIN * _estimate(operator**p)
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


# --- symmetric: Chebyshev ------------------------------------------------------------------------


def chebyshev_coefficients(model: Flow, low: float, high: float) -> np.ndarray:
    """Those of psi on [low, high], as far as they exceed the roundoff of max |psi|.

    Where psi oscillates, with phases up to (||theta||/eps)^(1/2), its values are only as good as u
    times the phase.
    """
    (speed, width), eps, _ = on_unit_interval(model, np.array([max(-low, high), high - low]))
    phase = 0.0
    if eps > 1e-3:  # below, exp(-1/(2 eps)) leaves nothing of the oscillation
        phase = math.sqrt(speed if eps == math.inf else speed / eps) * math.exp(-0.5 / eps)
    noise = UNIT * (1 + 16 * phase)
    # psi grows no faster than exp(T theta): so many nodes see it at the upper end, where it may be
    # all that is left of it.
    count = 2 ** max(5, math.ceil(math.log2(2 * math.sqrt(min(width, LARGEST)) + 1)))
    while True:
        expect(
            count <= LARGEST_EXPANSION and noise < 1,
            "theta",
            got=f"a spectrum in [{low:.3g}, {high:.3g}], where psi varies beyond reach",
            expected=f"one where a polynomial of degree {LARGEST_EXPANSION} follows it",
            fix="Take psi of the dense matrix.",
        )
        half_angles = np.pi * (np.arange(count) + 0.5) / (2 * count)
        from_high = (high - low) * np.sin(half_angles) ** 2
        from_low = (high - low) * np.cos(half_angles) ** 2
        # Each from its nearer end: psi varies with the distance from the upper one.
        points = np.where(from_high < from_low, high - from_high, low + from_low)
        values = model.scalar(points)
        c = np.asarray(scipy.fft.dct(values, type=2)) / count
        c[0] /= 2
        kept = np.flatnonzero(np.abs(c) > noise * np.abs(values).max())
        last = int(kept[-1]) + 1 if kept.size else 1
        if last <= 3 * count // 4 or not np.isfinite(values).all():
            return c[:last]
        count *= 2


def chebyshev(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    model: Flow,
    low: float,
    high: float,
) -> np.ndarray:
    """Sum c_k T_k((2 theta - (low + high) I)/(high - low)) X, by the three-term recurrence."""
    if high == low:
        return float(model.scalar(low)) * block
    c = chebyshev_coefficients(model, low, high)
    middle, half = (low + high) / 2, (high - low) / 2
    total = c[0] * block
    if len(c) == 1:
        return total
    previous, current = block.copy(), (apply(block) - middle * block) / half
    total += c[1] * current
    work = np.empty_like(block)
    for value in c[2:]:
        following = apply(current)
        following *= 2 / half
        np.multiply(current, 2 * middle / half, out=work)
        following -= work
        following -= previous
        np.multiply(following, value, out=work)
        total += work
        previous, current = current, following
    return total


# --- general: steps of a Taylor polynomial --------------------------------------------------------


def taylor(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    model: Flow,
    alpha: float,
    center: float = 0.0,
) -> np.ndarray:
    """Steps of (x, x') over [0, 1]; see `step_coefficients` for the map of a step.

    At eps = 0 ``apply`` may be the product with theta - ``center`` I.
    """
    (size, mean), eps, field = on_unit_interval(model, np.array([alpha, center]))
    if eps < 1 / LARGEST:  # to roundoff the flow of eps = 0
        eps, field = 0.0, False

    def scaled(vectors: np.ndarray) -> np.ndarray:
        return on_unit_interval(model, apply(vectors))[0]

    steps, power, cosh, sinh = step_coefficients(eps, float(size))
    x: np.ndarray = block
    v = scaled(block) if field else None
    for step in range(steps):
        even, odd = partial_sums(scaled, x, power, cosh, sinh)
        last = step == steps - 1
        if eps == 0:
            x = (2 * np.exp(mean / steps)) * even
            continue
        # x(h) = (C + Q/2) x + eps Q v; S = eps Q is what `sinh` stands for, Q/2 = S/(2 eps).
        half_rate = 0.0 if eps == math.inf else 0.5 / eps
        following = even + half_rate * odd
        velocity = None if last else scaled(odd) * (1.0 if eps == math.inf else 1 / eps)
        if v is not None:
            even, odd = partial_sums(scaled, v, power, cosh, sinh)
            following += odd
            if velocity is not None:
                velocity += even - half_rate * odd
        x, v = following, velocity
    return x


def step_coefficients(eps: float, alpha: float) -> tuple[int, float, np.ndarray, np.ndarray]:
    """The number of steps, the scale of theta, and the coefficients of C and S = eps Q.

    Over a step h the state (x, v) goes to ((C + Q/2) x + eps Q v, theta Q x + (C - Q/2) v).
    """
    steps = 1
    while True:
        h = 1 / steps
        if eps == math.inf:
            a, scale, limit = 0.0, h * h, math.acosh(STEP_GROWTH) ** 2
        else:
            a = math.inf if eps == 0 or h / eps == math.inf else 0.5 * h / eps
            scale, limit = (h if a >= 1 else h * (h / eps)), growth_radius(a, STEP_GROWTH)
        if scale * alpha <= limit:
            break
        expect(
            steps < MOST_STEPS,
            "theta",
            got=f"a matrix of size {alpha:.3g} over the horizon",
            expected=f"one that takes at most {MOST_STEPS} steps",
            fix="Give interval=(low, high) if theta is symmetric, or take psi of the dense matrix.",
        )
        steps = max(steps + 1, math.floor(steps * min(scale * alpha / limit, 1.5)))
    if eps == math.inf:
        cosh = np.array([1 / math.factorial(2 * n) for n in range(MOST_TERMS)])
        sinh = np.array([h / math.factorial(2 * n + 1) for n in range(MOST_TERMS)])
    else:
        even, rest = kernel_coefficients(a, MOST_TERMS, False)
        cosh, sinh = np.array(even), eps * (2 * np.array(rest))
    sizes = cosh * (scale * alpha) ** np.arange(MOST_TERMS)
    tails = np.cumsum(sizes[::-1])[::-1]
    degree = int(np.flatnonzero(tails > UNIT * cosh[0])[-1]) + 1
    return steps, scale, cosh[: degree + 1], sinh[: degree + 1]


def partial_sums(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    scale: float,
    cosh: np.ndarray,
    sinh: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Two polynomials of scale theta, times a block."""
    term, even, odd = block, cosh[0] * block, sinh[0] * block
    for c, s in zip(cosh[1:], sinh[1:], strict=True):
        term = apply(term)
        term *= scale
        even += c * term
        odd += s * term
    return even, odd
