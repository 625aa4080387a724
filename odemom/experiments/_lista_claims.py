"""What Figure 10 shows, judged by its numbers."""

from __future__ import annotations

import numpy as np

from odemom.checks import counted
from odemom.experiments._lista_results import Fig10
from odemom.experiments.frame import Claim

__all__ = ["claims", "leads_from"]

MOMENTUM, REVNET, LISTA = "momentum LISTA", "RevNet LISTA", "LISTA"
DEEP, WELL_BELOW = 16, 0.75
LEVEL = 0.9  # a ratio from which on momentum is level, not ahead
BORNE = 0.1  # in log10 of the gap: steps with which LISTA comes that close to its best
REVNET_FROM, REVNET_FACTOR = 8, 5.0
ENOUGH = 5  # dictionaries; fewer say too little


def claims(result: Fig10) -> list[Claim]:
    """What the trainings show of Section 5.3."""
    return [
        _deep_claim(result),
        _everywhere_claim(result, tied=False),
        _everywhere_claim(result, tied=True),
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
        f"{counted(len(curves[0].tried), 'setting')} a method, chosen on "
        f"{counted(result.tuning_seeds, 'other dictionary', 'other dictionaries')}: {chosen}; "
        f"{result.updates} updates a depth"
    )


def _dictionaries(count: int) -> str:
    return counted(count, "dictionary", "dictionaries")


def _deep_claim(result: Fig10) -> Claim:
    ratios = result.ratios(MOMENTUM, LISTA)
    deep = {n: r for n, r in ratios.items() if n >= DEEP}
    told = deep or {max(ratios): ratios[max(ratios)]}
    figures = ", ".join(f"{r} at depth {n}" for n, r in told.items())
    return Claim.judged(
        f"momentum LISTA outperforms LISTA; from depth {DEEP} on its gap L - L* is at most "
        f"{WELL_BELOW:g} times LISTA's",
        "Section 5.3, Figure 10; the factor: beyond the paper",
        f"momentum over LISTA, paired over {_dictionaries(_count(result))}: {figures}; "
        f"{_effort(result)}",
        all(r.mean <= WELL_BELOW for r in deep.values()) if _enough(result) else None,
    )


def _everywhere_claim(result: Fig10, *, tied: bool) -> Claim:
    ratios, first = result.ratios(MOMENTUM, LISTA, tied=tied), leads_from(result, tied=tied)
    figures = ", ".join(f"{n}: {r}" for n, r in ratios.items())
    clear = f"from depth {first} on" if first else "not from any depth on"
    return Claim.judged(
        "momentum LISTA outperforms LISTA at every depth" + tied * ", layers tied",
        "beyond the paper" if tied else "Section 5.3, Figure 10",
        f"momentum over LISTA by depth: {figures}; below 1 with the whole interval {clear}",
        first == min(ratios) if _enough(result) else None,
    )


def _equal_steps_claim(result: Fig10) -> Claim:
    lista, momentum = result.curve(LISTA), result.curve(MOMENTUM)
    borne = {s.step: s.gaps for s in lista.tried if s.score < lista.chosen.score + BORNE}
    ratios = [
        (s.step, s.gamma, np.array(s.gaps) / np.array(borne[s.step]))
        for s in momentum.tried
        if s.step in borne
    ]
    figures = "; ".join(
        f"{step:g}/|D|², gamma = {gamma:g}: {', '.join(f'{r:.3g}' for r in ratio)}"
        for step, gamma, ratio in sorted(ratios, key=lambda entry: entry[:2])
    )
    depths = result.tuning_depths
    first, last = min(depths), max(depths)
    judged = _enough(result) and first < last >= DEEP and len(ratios) > 0
    leads = f" and leads at depth {last}" if first < last else ""
    return Claim.judged(
        f"at equal effective steps (1 - gamma) eta, those that LISTA bears, momentum is level or "
        f"behind at depth {first}{leads}: its lead at small depth "
        "comes of the longer steps that only it bears",
        "beyond the paper",
        f"momentum over LISTA, {_dictionaries(result.tuning_seeds)}, depths "
        f"{', '.join(map(str, depths))}: {figures}",
        all(r[0] > LEVEL and r[-1] < 1 for _, _, r in ratios) if judged else None,
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
        f"signals), settled at {p.settled}, median gap there {p.gap:.1e}"
        for m, p in ours.items()
    )
    revnet = found[REVNET]
    iterated = [p for m, p in ours.items() if m != REVNET]
    solved = max((p.gap for p in iterated), default=0.0)
    agree, total = sum(p.foretold for p in iterated), sum(p.judged for p in iterated)
    return [
        Claim.judged(
            "RevNet LISTA cannot settle: no learned fixed point attracts it; training can only "
            "lower the expansion, by fixed points that do not solve the Lasso",
            "Section 5.3, by Proposition 1; the second half: beyond the paper",
            f"tied nets at the largest depth: {figures}",
            revnet.attracting == revnet.settled == 0 and revnet.gap > 10 * solved
            if revnet is not None and iterated and _enough(result)
            else None,
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
