"""Fixed points of trained, tied LISTA nets, and the spectra of their layers there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import odemom
from odemom.experiments._lista import ATOMS, Nets, Shrinkage

__all__ = ["FixedPoints", "fixed_points"]

ROUNDS, DAMPED, DAMPING, FOUND = 60, 50, 0.5, 1e-10
FOLLOWED, SETTLED = 1000, 1e-6
MARGIN = 0.015  # of a spectral radius from 1: over so many layers it settles to 3e-7, or not


@dataclass(frozen=True)
class FixedPoints:
    """Fixed points of one method, over dictionaries and signals.

    Attributes
    ----------
    probes, found : int
        Signals tried, and fixed points found, by damped steps and Newton's method: they need not
        attract the net.
    attracting : int
        Those at which the layer has a spectral radius less than 1.
    settled : int
        Those that the net itself, run for 1,000 layers from x = 0, comes to within 1e-6.
    judged, foretold : int
        Those whose radius is not within 0.015 of 1, and of these the ones that are attracting and
        settled, or neither.
    least_radius, median_radius, largest_radius : float
        Spectral radii of the layer.
    gap : float
        The mean of L - L* at the fixed points.
    spectrum : tuple of (float, float)
        The spectrum at one fixed point, as real and imaginary parts.
    """

    probes: int
    found: int
    attracting: int
    settled: int
    judged: int
    foretold: int
    least_radius: float
    median_radius: float
    largest_radius: float
    gap: float
    spectrum: tuple[tuple[float, float], ...]


@torch.no_grad()
def fixed_points(nets: Nets, y: Tensor, least: Tensor) -> FixedPoints | None:
    """Examine the fixed points of tied nets, one step each; None if none was found.

    Parameters
    ----------
    nets : Nets
    y : Tensor, shape (dictionaries, probes, d)
    least : Tensor, shape (dictionaries, at least probes)
        The least value of L.
    """
    functions = list(dict.fromkeys(nets.in_double(1)))
    points = [_fixed_point(f, y) for f in functions]
    residuals = [f(x, y).norm(dim=-1) for f, x in zip(functions, points, strict=True)]
    found = torch.stack(residuals).amax(0) < FOUND
    if not found.any():
        return None
    jacobians = [
        _jacobian(f, x, y)[found].cpu().numpy() for f, x in zip(functions, points, strict=True)
    ]
    spectra = _spectra(nets, jacobians)
    radius = np.abs(spectra).max(axis=-1)
    clear = np.abs(radius - 1) > MARGIN
    end = nets.output(functions * FOLLOWED, y)
    # A RevNet's G stands still at the first half, its F at the second: points is (of F, of G).
    centre = torch.stack(points).mean(0)
    settled = ((end - centre).norm(dim=-1) < SETTLED)[found].cpu().numpy()
    gap = (nets.problems.loss(centre, y) - least[:, : y.shape[1]])[found].mean()
    return FixedPoints(
        probes=found.numel(),
        found=int(found.sum()),
        attracting=int((radius < 1).sum()),
        settled=int(settled.sum()),
        judged=int(clear.sum()),
        foretold=int((settled == (radius < 1))[clear].sum()),
        least_radius=float(radius.min()),
        median_radius=float(np.median(radius)),
        largest_radius=float(radius.max()),
        gap=float(gap),
        spectrum=tuple((float(f"{z.real:.6g}"), float(f"{z.imag:.6g}")) for z in spectra[0]),
    )


def _fixed_point(function: Shrinkage, y: Tensor) -> Tensor:
    """Damped steps x + f(x, y)/2, and after every 50 of them one of Newton, where it helps.

    f is linear between its kinks: one step of Newton ends it where none is crossed.
    """
    x = torch.zeros(*y.shape[:-1], ATOMS, dtype=y.dtype, device=y.device)
    for _ in range(ROUNDS):
        for _ in range(DAMPED):
            x = x + DAMPING * function(x, y)
        change = torch.linalg.solve(_jacobian(function, x, y), function(x, y)[..., None])[..., 0]
        helps = function(x - change, y).norm(dim=-1) < function(x, y).norm(dim=-1)
        x = torch.where(helps[..., None], x - change, x)
        if (function(x, y).norm(dim=-1) < FOUND).all():
            break
    return x


def _jacobian(function: Shrinkage, x: Tensor, y: Tensor) -> Tensor:
    """The Jacobian of f in x: the rows of W_1 where x is moved off 0, less the identity."""
    before = torch.cat([x, y], dim=-1) @ function.weight
    moved = (before.abs() > function.level).to(x.dtype)
    first = function.weight[:, None, :ATOMS].mT
    return moved[..., None] * first - torch.eye(ATOMS, dtype=x.dtype, device=x.device)


def _spectra(nets: Nets, jacobians: Sequence[np.ndarray]) -> np.ndarray:
    if nets.kind == "RevNet LISTA":
        return np.array([odemom.revnet_spectrum(*pair) for pair in zip(*jacobians, strict=True)])
    if nets.kind == "momentum LISTA":
        return odemom.momentum_spectrum(jacobians[0], nets.gamma)
    return odemom.resnet_spectrum(jacobians[0])
