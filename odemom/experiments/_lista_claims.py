"""What Figure 10 shows, judged by its numbers."""

from __future__ import annotations

import numpy as np

from odemom.experiments._lista_results import Fig10
from odemom.experiments.frame import Claim

__all__ = ["claims", "leads_from"]

MOMENTUM, REVNET, LISTA = "momentum LISTA", "RevNet LISTA", "LISTA"
DEEP, WELL_BELOW, LEAD = 16, 0.75, 0.9
REVNET_FROM, REVNET_FACTOR = 8, 5.0
ENOUGH = 5  # dictionaries; fewer say too little
# A coordinate that is 0 at both halves' fixed points has the eigenvalue -1 in A and in B, whatever
# was learned, so mu = 1 and lam - 2 + 1/lam = 1.
INACTIVE = (3 + 5**0.5) / 2


def claims(result: Fig10) -> list[Claim]:
    """What the trainings show of Section 5.3."""
    return [
        _deep_claim(result),
        _everywhere_claim(result),
        _equal_steps_claim(result),
        _revnet_claim(result),
        *_fixed_point_claims(result),
    ]


def leads_from(result: Fig10, *, tied: bool = False) -> int | None:
    """The depth from which momentum is below LISTA, the whole 95 % interval, at all depths."""
    first = None
    for depth, ratio in reversed(result.ratios(MOMENTUM, LISTA, tied=tied).items()):
        if ratio.high >= 1:
            break
        first = depth
    return first


def _enough(result: Fig10) -> bool:
    curve = result.curve(LISTA)
    return curve.depths[-1] >= DEEP and len(curve.gaps[0]) >= ENOUGH


def _effort(result: Fig10) -> str:
    curves = [c for c in result.curves if c.tried and not c.tied]
    chosen = "; ".join(
        f"{c.method} (1 - gamma) eta = {c.chosen.step:g}/|D|²"
        + (f", gamma = {c.chosen.gamma:g}" if c.chosen.gamma else "")
        for c in curves
    )
    return (
        f"{len(curves[0].tried)} settings a method, chosen on {result.tuning_seeds} other "
        f"dictionaries: {chosen}; {result.updates} updates a depth"
    )


def _deep_claim(result: Fig10) -> Claim:
    ratios = result.ratios(MOMENTUM, LISTA)
    deep = {n: r for n, r in ratios.items() if n >= DEEP}
    told = deep or {max(ratios): ratios[max(ratios)]}
    figures = ", ".join(f"{r} at depth {n}" for n, r in told.items())
    return Claim.judged(
        f"momentum LISTA outperforms LISTA; from depth {DEEP} on its gap L - L* is at most "
        f"{WELL_BELOW:g} times LISTA's",
        "Section 5.3, Figure 10; the factor: beyond the paper",
        f"momentum over LISTA, paired over {_count(result)} dictionaries: {figures}; "
        f"{_effort(result)}",
        all(r.mean <= WELL_BELOW for r in deep.values()) if _enough(result) else None,
    )


def _everywhere_claim(result: Fig10) -> Claim:
    ratios = result.ratios(MOMENTUM, LISTA)
    first, tied = leads_from(result), leads_from(result, tied=True)
    figures = ", ".join(f"{n}: {r}" for n, r in ratios.items())
    words = [f"from depth {n}" if n else "at no depth on" for n in (first, tied)]
    return Claim.judged(
        "momentum LISTA outperforms LISTA at every depth",
        "Section 5.3, Figure 10",
        f"momentum over LISTA by depth: {figures}; below it with confidence {words[0]}, "
        f"tied nets {words[1]}",
        all(r.high < 1 for n, r in ratios.items() if n > 1) if _enough(result) else None,
    )


def _equal_steps_claim(result: Fig10) -> Claim:
    lista, momentum = result.curve(LISTA), result.curve(MOMENTUM)
    steps = {s.step: s.gaps for s in lista.tried}
    step = min(
        {s.step for s in momentum.tried} & set(steps), key=lambda c: abs(c - lista.chosen.step)
    )
    ratios = {
        s.gamma: np.array(s.gaps) / np.array(steps[step]) for s in momentum.tried if s.step == step
    }
    figures = "; ".join(
        f"gamma = {gamma:g}: {', '.join(f'{r:.3g}' for r in ratio)}"
        for gamma, ratio in ratios.items()
    )
    depths = result.tuning_depths
    judged = _enough(result) and depths[-1] >= DEEP
    return Claim.judged(
        f"at equal effective steps (1 - gamma) eta momentum does not lead by 10 % at depth "
        f"{depths[0]}, and does at depth {depths[-1]}: its lead at small depth comes of the "
        "longer steps that it bears",
        "beyond the paper",
        f"momentum over LISTA, both with {step:g}/|D|², {result.tuning_seeds} dictionaries, depths "
        f"{', '.join(map(str, depths))}: {figures}",
        all(r[0] > LEAD and r[-1] < LEAD for r in ratios.values()) if judged else None,
    )


def _revnet_claim(result: Fig10) -> Claim:
    curve, ratios = result.curve(REVNET), result.ratios(REVNET, LISTA)
    means = dict(zip(curve.depths, np.exp(np.log(curve.gaps).mean(axis=1)), strict=True))
    late = [n for n in curve.depths if n >= REVNET_FROM]
    told = late or [curve.depths[-1]]
    rises = bool(np.all(np.diff([means[n] for n in late]) > 0))
    figures = ", ".join(f"{n}: {means[n]:.2g}, {ratios[n]}" for n in told)
    return Claim.judged(
        f"RevNet LISTA fails: from depth {REVNET_FROM} on its gap is at least "
        f"{REVNET_FACTOR:g} times LISTA's, and rises",
        "Section 5.3, Figure 10; the factor: beyond the paper",
        f"gap, and its ratio to LISTA's, by depth: {figures}",
        rises and all(ratios[n].mean >= REVNET_FACTOR for n in late) if _enough(result) else None,
    )


def _fixed_point_claims(result: Fig10) -> list[Claim]:
    found = {m: result.curve(m, tied=True).fixed_points for m in (LISTA, MOMENTUM, REVNET)}
    ours = {m: p for m, p in found.items() if p is not None}
    figures = "; ".join(
        f"{m}: radius {p.least_radius:.3g} to {p.largest_radius:.3g}, median "
        f"{p.median_radius:.3g}, attracting {p.attracting} of {p.found} (found for {p.probes} "
        f"signals), settled at {p.settled}, gap there {p.gap:.1e}"
        for m, p in ours.items()
    )
    revnet = found[REVNET]
    iterated = [p for m, p in ours.items() if m != REVNET]
    agree, total = sum(p.foretold for p in iterated), sum(p.judged for p in iterated)
    return [
        Claim.judged(
            "RevNet LISTA cannot settle: at its learned fixed points the layer expands at least "
            "(3 + sqrt 5)/2 = 2.618 times, because of the coordinates that are 0 there",
            "Section 5.3, by Proposition 1; the bound: beyond the paper",
            f"tied nets at the largest depth: {figures}",
            None
            if revnet is None
            else revnet.least_radius > INACTIVE - 1e-6 and revnet.settled == 0,
        ),
        Claim.judged(
            "LISTA and momentum LISTA, run on, settle exactly where Proposition 1 says that their "
            "learned fixed point attracts",
            "Proposition 1, Section 5.3",
            f"{agree} of {total} fixed points whose radius is not within 0.015 of 1",
            agree == total if total else None,
        ),
    ]


def _count(result: Fig10) -> int:
    return len(result.curve(LISTA).gaps[0])
