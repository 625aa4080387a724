"""Fixed points of trained, tied LISTA nets, and the spectra of their layers there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import odemom
from odemom.experiments._lista import ATOMS, Nets, Shrinkage

__all__ = ["INACTIVE", "FixedPoints", "fixed_points"]

DAMPED, DAMPING = 400, 0.5  # steps towards a fixed point that attracts
NEWTON, HALVINGS, STARTS, SPREAD, FOUND = 50, 8, 6, 0.3, 1e-10
FOLLOWED, SETTLED = 1000, 1e-6
MARGIN = 0.015  # of a spectral radius from 1: over so many layers it settles to 3e-7, or not
# How a RevNet expands along a coordinate that is 0 at the fixed points of both halves, whatever was
# learned: A and B have the eigenvalue -1 there, so mu = 1 and lam - 2 + 1/lam = 1.
INACTIVE = (3 + 5**0.5) / 2


@dataclass(frozen=True)
class FixedPoints:
    """Fixed points of one method, over dictionaries and signals.

    Attributes
    ----------
    probes, found : int
        Signals tried, and fixed points found: they need not attract the net.
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
    """A zero of f(., y) where one is found: by Newton's method, which repelling ones allow too.

    It starts where damped steps x + f(x, y)/2 lead, then from 0, then from random points.
    """
    origin = torch.zeros(*y.shape[:-1], ATOMS, dtype=y.dtype, device=y.device)
    start, found = origin, origin
    for _ in range(DAMPED):
        start = start + DAMPING * function(start, y)
    generator = torch.Generator().manual_seed(0)
    for attempt in range(STARTS):
        if attempt:
            noise = torch.randn(origin.shape, generator=generator, dtype=y.dtype)
            start = (attempt > 1) * SPREAD * noise.to(y.device)
        fresh = _newton(function, torch.where(start.abs() < 1 / FOUND, start, 0.0), y)
        better = function(fresh, y).norm(dim=-1) < function(found, y).norm(dim=-1)
        still = function(found, y).norm(dim=-1) >= FOUND
        found = torch.where((better & still)[..., None], fresh, found)
        if (function(found, y).norm(dim=-1) < FOUND).all():
            break
    return found


def _newton(function: Shrinkage, x: Tensor, y: Tensor) -> Tensor:
    """Newton's method with halved steps: f is linear between its kinks, so its ends are exact."""
    for _ in range(NEWTON):
        residual = function(x, y)
        step = torch.linalg.solve(_jacobian(function, x, y), residual[..., None])[..., 0]
        after = x - step  # where no halving helps, the whole step leads on
        for halving in reversed(range(HALVINGS)):
            tried = x - step / 2**halving
            helps = function(tried, y).norm(dim=-1) < (1 - 0.1 / 2**halving) * residual.norm(dim=-1)
            after = torch.where(helps[..., None], tried, after)
        x = after
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
