"""What the papers on second-order neural ODEs say of each other, judged by the comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

import odemom
from odemom.experiments._second_order_results import Comparison, Fit, log_ratio, spread
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim

__all__ = ["claims"]

LEARNT = 0.01  # of the error that no first-order ODE can beat
SOLVER = 1e-3  # how far below a bound rounding and the solver's tolerance may take an error
SIGNIFICANT = 2.0  # standard errors
SWINGS = "released", "thrown"
TITLES = {
    "node": "first order",
    "anode": "augmented",
    "sonode": "SONODE",
    "hbnode": "heavy ball",
    "momentum-rest": "momentum, from rest",
    "momentum-field": "momentum, v0 = f(x0)",
}
PLACES = {
    "parity": "x -> -x",
    "spheres": "nested spheres",
    "released": "oscillators at rest",
    "thrown": "oscillators thrown",
}


def claims(result: Comparison) -> list[Claim]:
    """What the comparison shows, of the papers' claims and beyond them."""
    return [
        _first_order_misses(result),
        _others_reach(result, ("anode", "sonode", "hbnode"), "Dupont et al. 2019; Norcliffe "
                      "et al. 2020; Xia et al. 2021"),
        _others_reach(result, ("momentum-field",), "Proposition 3"),
        _rest_stops(result),
        _sonode_is_better(result),
        _spheres_need_more(result),
        _heavy_ball_is_better(result),
        *(_heavy_ball_is_faster(result, way) for way in ("forward", "backward")),
        _velocities_save(result),
        _velocity_decides(result),
    ]  # fmt: skip


def _judged(
    words: str,
    where: str,
    needed: Sequence[Fit | None],
    judge: Callable[..., tuple[str, bool | None]],
) -> Claim:
    """The claim, "not judged" unless all the fits that it needs are there, of two seeds or more."""
    if any(fit is None or len(fit.loss) < 2 for fit in needed):
        return Claim.judged(words, where, "not part of this run", None)
    return Claim.judged(words, where, *judge(*needed))


def _first_order_misses(result: Comparison) -> Claim:
    def judge(*fits: Fit) -> tuple[str, bool]:
        ratios = {f.problem: np.array(f.loss) / np.array(f.bound) for f in fits}
        measured = "; ".join(
            f"{PLACES[f.problem]}: error {spread(f.loss)}, bound {spread(f.bound)}" for f in fits
        )
        least = min(float(ratio.min()) for ratio in ratios.values())
        measured += f"; least ratio of {_count(fits)} nets {least:.3f}"
        return measured, least > 1 - SOLVER

    problems = [p for p in ("parity", *SWINGS) if result.fit(p, "node") is not None]
    return _judged(
        "on the line a first-order ODE is monotone: it can neither learn x -> -x nor follow an "
        "oscillator better than the best monotone answer",
        "Section 4; Dupont et al. 2019",
        [result.fit(p, "node") for p in problems] or [None],
        judge,
    )


def _others_reach(result: Comparison, models: tuple[str, ...], where: str) -> Claim:
    def judge(*fits: Fit) -> tuple[str, bool]:
        measured = "; ".join(f"{TITLES[f.model]}: {spread(f.loss, '.1e')}" for f in fits)
        worst = max(max(np.array(f.loss) / np.array(f.bound)) for f in fits)
        measured += f"; at worst {worst:.1e} of the first-order bound"
        return measured, bool(worst < LEARNT)

    names = {
        "anode": "an added coordinate",
        "sonode": "a learnt initial velocity",
        "momentum-field": "the momentum equation with v0 = f(x0)",
    }
    subjects = " or ".join(names[model] for model in models if model in names)
    return _judged(
        f"with {subjects} x -> -x is learnt, to 1 % of the first-order bound on every seed",
        where,
        [result.fit("parity", model) for model in models],
        judge,
    )


def _rest_stops(result: Comparison) -> Claim:
    def judge(fit: Fit) -> tuple[str, bool]:
        lambdas = [odemom.lambda_eps(1 / friction) for friction in fit.friction]
        linear = (1 + np.array(lambdas, dtype=float)) ** 2 * np.array(fit.size)
        ratios = np.array(fit.loss) / linear
        eps = [1 / friction for friction in fit.friction]
        return (
            f"eps {spread(eps)} learnt, error {spread(fit.loss, '.1e')}, that of a linear f "
            f"{spread(linear.tolist(), '.1e')}; ratio {spread(ratios.tolist(), '.3f')}, least "
            f"{ratios.min():.3f}"
        ), bool(ratios.min() > 1 - SOLVER)

    return _judged(
        "from rest x -> -x is out of reach at a finite eps, whatever f (an energy grows on the "
        "way); the trained networks do not get below (1 + lambda_eps)² mean x², which Theorem 1 "
        "leaves to a linear f",
        "beyond the paper",
        [result.fit("parity", "momentum-rest")],
        judge,
    )


def _compared(a: Fit, b: Fit) -> tuple[str, float, float]:
    """The ratio of test losses in words, the mean of its logarithm, and its standard error."""
    mean, error = log_ratio(a.loss, b.loss)
    words = (
        f"{PLACES[a.problem]}: {TITLES[a.model]} {spread(a.loss, '.1e')}, {TITLES[b.model]} "
        f"{spread(b.loss, '.1e')}, geometric mean of the ratios {math.exp(mean):.2g}, "
        f"standard error a factor of {math.exp(error):.2g}"
    )
    return words, mean, error


def _sonode_is_better(result: Comparison) -> Claim:
    def judge(*fits: Fit) -> tuple[str, bool]:
        pairs = [_compared(a, b) for a, b in zip(fits[::2], fits[1::2], strict=True)]
        holds = all(mean + SIGNIFICANT * error < 0 for _, mean, error in pairs)
        return "; ".join(words for words, _, _ in pairs), holds

    needed = [result.fit(p, m) for p in SWINGS for m in ("sonode", "anode")]
    return _judged(
        "on oscillators SONODE does better than an augmented ODE of as many parameters, by more "
        "than two standard errors on both problems",
        "Norcliffe et al. 2020",
        needed,
        judge,
    )


def _spheres_need_more(result: Comparison) -> Claim:
    models = ("anode", "sonode", "hbnode", "momentum-rest", "momentum-field")

    def judge(node: Fit, *others: Fit) -> tuple[str, bool]:
        better = [_fewer(other.misclassified, node.misclassified) for other in others]
        return _misses((node, *others)), all(better)

    return _judged(
        "nested spheres are classified with fewer errors by every other model than by the "
        "first-order ODE, whose map of the plane is a homeomorphism",
        "Dupont et al. 2019; Norcliffe et al. 2020",
        [result.fit("spheres", model) for model in ("node", *models)],
        judge,
    )


def _heavy_ball_is_better(result: Comparison) -> Claim:
    def judge(heavy: Fit, *others: Fit) -> tuple[str, bool]:
        best = [_fewer(heavy.misclassified, other.misclassified) for other in others]
        return _misses((heavy, *others)), all(best)

    return _judged(
        "on nested spheres the heavy ball is more accurate than the first-order, the augmented and "
        "the SONODE model, by more than two standard errors",
        "Xia et al. 2021",
        [result.fit("spheres", model) for model in ("hbnode", "node", "anode", "sonode")],
        judge,
    )


def _misses(fits: Sequence[Fit]) -> str:
    words = [f"{TITLES[f.model]} {spread(f.misclassified, '.2f', 100)} %" for f in fits]
    return "test points misclassified: " + "; ".join(words)


def _heavy_ball_is_faster(result: Comparison, way: str) -> Claim:
    return _faster(
        result,
        way,
        ("hbnode",),
        ("node", "anode", "sonode"),
        f"the heavy ball takes fewer evaluations of f {way} than the first-order, the augmented "
        "and the SONODE model, on every problem",
        "Xia et al. 2021",
    )


def _velocities_save(result: Comparison) -> Claim:
    return _faster(
        result,
        "forward",
        ("sonode", "hbnode"),
        ("node",),
        "with a learnt initial velocity, SONODE or heavy ball, the forward pass takes fewer "
        "evaluations of f than at first order, on every problem",
        "Norcliffe et al. 2020; Xia et al. 2021",
    )


def _faster(
    result: Comparison,
    way: str,
    fast: tuple[str, ...],
    slow: tuple[str, ...],
    words: str,
    where: str,
) -> Claim:
    models = fast + slow
    problems = [p for p in PLACES if all(result.fit(p, m) is not None for m in models)]

    def judge(*fits: Fit) -> tuple[str, bool]:
        found, fewest = [], True
        for i in range(0, len(fits), len(models)):
            counts = [getattr(fit, way) for fit in fits[i : i + len(models)]]
            few, many = counts[: len(fast)], counts[len(fast) :]
            fewest &= all(_fewer(a, b) for a in few for b in many)
            figures = ", ".join(
                f"{TITLES[m]} {spread(c, '.0f')}" for m, c in zip(models, counts, strict=True)
            )
            found.append(f"{PLACES[fits[i].problem]}: {figures}")
        return "; ".join(found), fewest

    needed = [result.fit(p, m) for p in problems for m in models] or [None]
    return _judged(words, where, needed, judge)


def _fewer(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether a is below b by more than the error bar of the paired difference."""
    difference = np.array(b, dtype=float) - np.array(a, dtype=float)
    count = len(difference)
    error = deviation(difference) / math.sqrt(count) if count > 1 else math.inf
    return bool(difference.mean() > SIGNIFICANT * error)


def _velocity_decides(result: Comparison) -> Claim:
    def judge(*fits: Fit) -> tuple[str, bool]:
        (rest, rest_mean, rest_error), (thrown, mean, error) = (
            _compared(fits[0], fits[1]),
            _compared(fits[2], fits[3]),
        )
        frictions = spread(fits[0].friction, ".3f")
        return (f"{rest}; {thrown}; friction learnt from rest {frictions}, true 0.333"), bool(
            rest_mean - SIGNIFICANT * rest_error < 0 and mean - SIGNIFICANT * error > math.log(10)
        )

    return _judged(
        "heavy ball and momentum are one equation, gamma = 1/eps, and the initial velocity tells "
        "them apart: from rest the momentum equation is no worse, within two standard errors, on "
        "oscillators let go at rest, and more than ten times worse on thrown ones",
        "beyond the paper",
        [result.fit(p, m) for p in SWINGS for m in ("momentum-rest", "hbnode")],
        judge,
    )


def _count(fits: Sequence[Fit]) -> int:
    return sum(len(fit.loss) for fit in fits)
