"""Random smooth vector fields, their derivatives, and solutions to nearly all digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

__all__ = ["RandomField", "second_order", "solved"]

Rate = Callable[[np.ndarray], np.ndarray]
# Near the least that the solver accepts.
RELATIVE, ABSOLUTE = 1e-13, 1e-15


@dataclass(frozen=True)
class RandomField:
    """f(x) = A tanh(B x + c) with normal A, B, c; stacks of points (..., d).

    Attributes
    ----------
    dimension, seed : int
    """

    dimension: int
    seed: int

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A, B, c, and a generator's further normal numbers (2, d): a point and a velocity."""
        d = self.dimension
        normal = np.random.default_rng(self.seed).normal
        return normal(size=(d, d)), normal(size=(d, d)), normal(size=d), normal(size=(2, d))

    def functions(self) -> tuple[Rate, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        """The functions f(x) and (x, h) -> f'(x) h."""
        a, b, c, _ = self.draw()

        def field(x: np.ndarray) -> np.ndarray:
            return np.tanh(x @ b.T + c) @ a.T

        def derivative(x: np.ndarray, h: np.ndarray) -> np.ndarray:
            return ((h @ b.T) / np.cosh(x @ b.T + c) ** 2) @ a.T

        return field, derivative


def solved(rate: Rate, start: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The solution of y' = rate(y), y(0) = start, at increasing times >= 0.

    Parameters
    ----------
    rate : callable
        On arrays of the shape of ``start``.
    start : ndarray of float64
    times : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n, *start.shape)
    """
    shape = start.shape
    solution = solve_ivp(
        lambda _, y: rate(y.reshape(shape)).ravel(),
        (0.0, float(times[-1])),
        start.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=RELATIVE,
        atol=ABSOLUTE,
    )
    assert solution.success, solution.message
    return solution.y.T.reshape(len(times), *shape)


def second_order(
    field: Rate, eps: float, x0: np.ndarray, v0: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities of eps x'' + x' = field(x), shapes (n, *x0.shape)."""

    def rate(state: np.ndarray) -> np.ndarray:
        x, v = state
        return np.stack([v, (field(x) - v) / eps])

    states = solved(rate, np.stack([x0, v0]), times)
    return states[:, 0], states[:, 1]
