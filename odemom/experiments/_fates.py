"""Where residual nets attract at a fixed point, and what iterations that start near it do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import odemom

__all__ = ["Fates", "FatesTask", "Trace", "fates", "half_axis", "inside", "traces"]

EXAMPLE_GAMMA = 0.6
MARGIN = 0.02  # of a spectral radius from 1: closer ones need more layers than are run
# K has the eigenvalues re ± im i: real and too long for a ResNet's step; turning, with short steps.
CASES = {"long steps": (-2.6, 0.0), "turning": (-0.2, 0.55)}
TRACED = 60
# RevNets of one dimension, F(y) = A y and G(x) = B x, that start where they contract: the first in
# numbers that doubles hold, the second in numbers that they round.
CONTRACTING = {"exact": (0.5, 1.0), "rounded": (1.0, 1.0)}


@dataclass(frozen=True)
class FatesTask:
    """Iterations near random fixed points, for one gamma."""

    gamma: float
    starts: int
    layers: int


@dataclass(frozen=True)
class Fates:
    """What becomes of iterations near random fixed points.

    Attributes
    ----------
    gamma : float
    judged : int
        Eigenvalue pairs kappa whose radius is not within `MARGIN` of 1.
    foretold : int
        How many nets did as the ellipse says: came closer, or left.
    spectra_agree : int
        How many spectra by `odemom.momentum_spectrum` say the same as the ellipse.
    twins_judged, twins_agree : int
        The same for the parabola and the eigenvalues of the twin eps x'' + x' = K x.
    attracting : float
        The share of the kappa drawn at which the net attracts.
    revnets, revnets_converged : int
        RevNets of random A, B followed from random starts, and how many of them came closer by a
        factor of 1000.
    """

    gamma: float
    judged: int
    foretold: int
    spectra_agree: int
    twins_judged: int
    twins_agree: int
    attracting: float
    revnets: int
    revnets_converged: int


@dataclass(frozen=True)
class Trace:
    """The distance of one iteration from its fixed point, layer by layer.

    Attributes
    ----------
    case, net : str
    radius : float
        The spectral radius of the Jacobian.
    distance : tuple of float
    """

    case: str
    net: str
    radius: float
    distance: tuple[float, ...]


def half_axis(gamma: float) -> float:
    """The half-axis a of the ellipse of kappa in which a Momentum ResNet attracts."""
    return (1 + gamma) / (1 - gamma)


def inside(kappa: np.ndarray, gamma: float) -> np.ndarray:
    """Whether a Momentum ResNet of momentum gamma < 1 contracts along an eigenvalue kappa.

    The eigenvalues lam of the layer satisfy lam + gamma/lam = 1 + gamma + (1 - gamma) kappa, and
    lam -> lam + gamma/lam maps the circle |lam| = 1 to an ellipse.
    """
    a = half_axis(gamma)
    return (np.real(kappa) / a + 1) ** 2 + np.imag(kappa) ** 2 < 1


def fates(task: FatesTask) -> Fates:
    """Follow iterations near random fixed points."""
    rng = np.random.default_rng([int(1000 * task.gamma), task.starts])
    a = half_axis(task.gamma)
    # A box somewhat larger than the ellipse, so that every part of its boundary is tried.
    re, im = rng.uniform(-2.3 * a, 0.3 * a, task.starts), rng.uniform(0, 1.4, task.starts)
    kappa, K = re + 1j * im, turning(re, im)
    spectrum = odemom.momentum_spectrum(K, task.gamma)
    radius = np.abs(spectrum).max(axis=-1)
    clear = np.abs(radius - 1) > MARGIN
    first, last = _ends(momentum_iteration(K, task.gamma), rng, (task.starts, 4), task.layers)
    eps = 1 / (1 - task.gamma)
    real = np.linalg.eigvals(twin_matrix(K, eps)).real.max(axis=-1)
    clear_twin = np.abs(real) > 1e-6
    A, B = rng.standard_normal((2, task.starts, 3, 3)) / np.sqrt(3)
    rev_first, rev_last = _ends(revnet_iteration(A, B), rng, (task.starts, 6), task.layers)
    within = inside(kappa, task.gamma)
    return Fates(
        gamma=task.gamma,
        judged=int(clear.sum()),
        foretold=int(((last < first) == within)[clear].sum()),
        spectra_agree=int(((radius < 1) == within)[clear].sum()),
        twins_judged=int(clear_twin.sum()),
        twins_agree=int(((real < 0) == (re < -eps * im**2))[clear_twin].sum()),
        attracting=float(within.mean()),
        revnets=task.starts,
        revnets_converged=int((rev_last < 1e-3 * rev_first).sum()),
    )


def _ends(layer: Any, rng: Any, shape: tuple[int, ...], layers: int) -> tuple[Any, Any]:
    """The distances from the fixed point at the start, which is at 1e-6, and at the end."""
    state = rng.standard_normal(shape)
    state *= 1e-6 / np.linalg.norm(state, axis=-1, keepdims=True)
    first = np.linalg.norm(state, axis=-1)
    for _ in range(layers):
        state = layer(state)
    return first, np.linalg.norm(state, axis=-1)


def traces() -> tuple[Trace, ...]:
    """Iterations near fixed points of both kinds, and the RevNet that halves its distance."""
    found = []
    for case, (re, im) in CASES.items():
        K = turning(np.array(re), np.array(im))
        for net, radius, layer in (
            ("ResNet", odemom.resnet_spectrum(K), momentum_iteration(K, 0.0)),
            (
                "Momentum ResNet",
                odemom.momentum_spectrum(K, EXAMPLE_GAMMA),
                momentum_iteration(K, EXAMPLE_GAMMA),
            ),
            ("RevNet", odemom.revnet_spectrum(K, K), revnet_iteration(K, K)),
        ):
            start = (
                np.array([1e-4, 2e-4, 1e-4, 0.0])
                if net == "RevNet"
                else np.array([1e-4, 2e-4, 0.0, 0.0])
            )
            found.append(_trace(case, net, radius, layer, start))
    for case, (a, b) in CONTRACTING.items():
        jacobian = odemom.revnet_jacobian([[a]], [[b]])
        small = odemom.revnet_spectrum([[a]], [[b]])[1].real
        start = np.array([a, small - 1])  # jacobian @ start = small * start
        spectrum = np.array([1 / small, small])
        found.append(_trace(case, "RevNet", spectrum, partial(np.matmul, jacobian), start))
    return tuple(found)


def _trace(case: str, net: str, spectrum: np.ndarray, layer: Any, start: np.ndarray) -> Trace:
    states = [start]
    for _ in range(TRACED):
        states.append(layer(states[-1]))
    distances = np.linalg.norm(states, axis=-1)
    rounded = tuple(float(f"{x:.4g}") for x in distances)
    return Trace(case, net, float(np.abs(spectrum).max()), rounded)


def twin_matrix(K: np.ndarray, eps: float) -> np.ndarray:
    """The matrix of eps x'' + x' = K x as a first-order system in (x, x')."""
    eye = np.broadcast_to(np.eye(K.shape[-1]), K.shape)
    return np.concatenate(
        [
            np.concatenate([np.zeros_like(K), eye], axis=-1),
            np.concatenate([K / eps, -eye / eps], axis=-1),
        ],
        axis=-2,
    )


def times(K: np.ndarray, x: np.ndarray) -> np.ndarray:
    """K x, for stacks of both."""
    return (K @ x[..., None])[..., 0]


def turning(re: Any, im: Any) -> np.ndarray:
    """The matrices [[re, -im], [im, re]], whose eigenvalues are re ± im i."""
    return np.stack([np.stack([re, -im], axis=-1), np.stack([im, re], axis=-1)], axis=-2)


def momentum_iteration(K: np.ndarray, gamma: float) -> Callable[[np.ndarray], np.ndarray]:
    """A layer, on (x, v), with f(x) = K tanh(x): its fixed point is 0, its Jacobian there K."""

    def layer(state: np.ndarray) -> np.ndarray:
        x, v = np.split(state, 2, axis=-1)
        v = gamma * v + (1 - gamma) * times(K, np.tanh(x))
        return np.concatenate([x + v, v], axis=-1)

    return layer


def revnet_iteration(A: np.ndarray, B: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A block on (x, y), with F(y) = A tanh(y) and G(x) = B tanh(x)."""

    def block(state: np.ndarray) -> np.ndarray:
        x, y = np.split(state, 2, axis=-1)
        x = x + times(A, np.tanh(y))
        return np.concatenate([x, y + times(B, np.tanh(x))], axis=-1)

    return block
