"""The numbers behind the page: the decision, the witness, paths of points, and the net beside them.

What is decided, and the witness, are those of the public functions; the paths are those of the
equation itself, which the tests hold to psi.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import scipy.linalg

import odemom
from odemom.checks import nearest_double
from odemom.errors import (
    IllConditionedError,
    NotRepresentableError,
    OdemomError,
)
from odemom.experiments.fig3 import momentum_net
from odemom.explore.question import Question
from odemom.flows import MomentumResNet, ResNet
from odemom.representability.report import Repairs, Representability
from odemom.representability.witness import Witness

__all__ = ["Answer", "Decided", "Motion", "Net", "answer_to", "decide", "flow_range"]

FRAMES = 121
# Radians that a path may turn by: beyond, 121 frames no longer show where it goes.
MOST_RADIANS = 60.0


@dataclass(frozen=True)
class Decided:
    """The decision, and what it rests on.

    Attributes
    ----------
    report : Representability
    threshold : float
        lambda_eps.
    eigenvalues : tuple of complex
        Of D, as often as they occur, of a pair of conjugates the one above the real line; the
        real ones first, in ascending order.
    obstructed : tuple of bool
        Which of them stand in the way.
    repairs : Repairs or None
        The least eps and the largest scale, where they can be told.
    """

    report: Representability
    threshold: float
    eigenvalues: tuple[complex, ...]
    obstructed: tuple[bool, ...]
    repairs: Repairs | None

    @property
    def threshold_text(self) -> str:
        """lambda_eps in six digits, as the report prints it: not 0 where doubles have none."""
        return str(self.report.threshold).rpartition(" ")[2]

    @property
    def reals(self) -> list[float]:
        """The real eigenvalues, which `obstructed` begins with."""
        return [mu.real for mu in self.eigenvalues if mu.imag == 0]


@dataclass(frozen=True)
class Net:
    """The net with tied weights theta/N beside the flow of theta.

    Attributes
    ----------
    gamma : Fraction
        1 - 1/(N eps): counted in the time of the ODE its mass is then eps. 0 is a ResNet.
    report : Representability
        Whether such a net reaches D, with weights of its own.
    """

    gamma: Fraction
    report: Representability


@dataclass(frozen=True)
class Motion:
    """Where theta takes the plane, or the space.

    Attributes
    ----------
    theta : ndarray, shape (d, d)
    times : ndarray, shape (m,)
        From 0 to 1.
    maps : ndarray, shape (m, d, d)
        x(0) -> x(t), at each time.
    layers : ndarray, shape (N + 1, d, d), or None
        x_0 -> x_n, of the net; None where there is none.
    distance : float
        Of psi(theta) from D, in the spectral norm: more than roundoff if theta is that of the
        nearest matrix that has one.
    nearest : bool
        Whether it is.
    """

    theta: np.ndarray
    times: np.ndarray
    maps: np.ndarray
    layers: np.ndarray | None
    distance: float
    nearest: bool = False


@dataclass(frozen=True)
class Answer:
    """All that a question is answered with.

    Attributes
    ----------
    question : Question
    decided : Decided
    witness : Witness or None
    net : Net or None
    motion : Motion or None
        Of the witness, or of the theta of the nearest matrix that has one.
    notes : dict of str to str
        A sentence in place of "witness", "net" or "motion", where there is none.
    """

    question: Question
    decided: Decided
    witness: Witness | None
    net: Net | None
    motion: Motion | None
    notes: dict[str, str]


def answer_to(question: Question) -> Answer:
    """Decide, and find the witness, its paths and the net.

    Raises
    ------
    OdemomError
        If the decision itself cannot be had; its sentence says why.

    Examples
    --------
    >>> from odemom.explore.question import question_of
    >>> answer = answer_to(question_of({"matrix": [["-1", "0"], ["0", "-1"]], "eps": "1/2"}))
    >>> bool(answer.decided.report), answer.witness.residual < 1e-14
    (True, True)
    """
    notes: dict[str, str] = {}
    spectrum = odemom.spectrum(question.given)
    decided = decide(question, spectrum)
    witness = motion = None
    try:
        witness = odemom.represent(spectrum, question.eps, full_output=True)
    except NotRepresentableError:
        notes["witness"] = "There is none."
    except IllConditionedError as error:
        notes["witness"], witness = str(error), error.witness
    except OdemomError as error:
        notes["witness"] = str(error)
    net = _net(question, spectrum, notes)
    if witness is not None:
        motion = _motion(question, witness.theta, net, notes)
    elif decided.report:
        notes["motion"] = "There is a θ, but none that doubles hold: no picture."
    else:
        motion = _to_the_nearest(question, net, notes)
    return Answer(question, decided, witness, net, motion, notes)


def _to_the_nearest(question: Question, net: Net | None, notes: dict[str, str]) -> Motion | None:
    """The paths to the nearest matrix that is reached.

    The nearest ones can come as close as one likes, at the price of a theta as large as one likes.
    """
    try:
        nearest = odemom.nearest_representable(question.given, question.eps)
        theta = odemom.represent(nearest.matrix, question.eps)
    except OdemomError:
        notes["motion"] = "Only matrices with a θ too large for doubles come near D: no picture."
        return None
    motion = _motion(question, theta, net, notes)
    return None if motion is None else replace(motion, nearest=True)


def decide(question: Question, spectrum: odemom.Spectrum | None = None) -> Decided:
    """The decision alone, with the eigenvalues in the order of the page.

    Raises
    ------
    OdemomError
        If it cannot be had.
    """
    if spectrum is None:
        spectrum = odemom.spectrum(question.given)
    report = odemom.analyze(spectrum, question.eps)
    bad = {o.eigenvalue.value for o in report.obstructions}
    found: list[tuple[complex, bool]] = []
    for entry in report.eigenvalues:
        value = complex(entry.value)
        if entry.position != "non-real":
            value = complex(value.real)
        elif value.imag <= 0:
            continue
        found += [(value, entry.value in bad)] * entry.multiplicity
    found.sort(key=lambda pair: (pair[0].imag > 0, pair[0].real, pair[0].imag))
    try:
        repairs = spectrum.repairs(question.eps)
    except OdemomError:
        repairs = None
    return Decided(
        report,
        odemom.lambda_eps(nearest_double(question.eps)),
        tuple(value for value, _ in found),
        tuple(obstructed for _, obstructed in found),
        repairs,
    )


def flow_range(theta: np.ndarray, eps: Fraction | float) -> float:
    """How far paths may turn from time 0 to 1, in radians, at most."""
    norm, mass = float(np.linalg.norm(theta, 2)), float(eps)
    if mass == 0:
        return norm
    return math.sqrt(norm) if mass == math.inf else min(norm, math.sqrt(norm / mass))


def _net(question: Question, spectrum: odemom.Spectrum, notes: dict[str, str]) -> Net | None:
    depth, eps = question.layers, question.eps
    if eps == math.inf:
        notes["net"] = "At ε = ∞ there is no friction, and γ = 1, which is no momentum net."
        return None
    gamma = Fraction(0) if eps == 0 else 1 - 1 / (depth * Fraction(eps))
    if gamma < 0:
        least = math.ceil(1 / Fraction(eps))
        notes["net"] = (
            f"A net of {depth} {'layer' if depth == 1 else 'layers'} would need γ = 1 − 1/(Nε) "
            f"below 0: take at least {least:,} layers"
            + (", more than this page draws." if least > 64 else ".")
        )
        return None
    try:
        flow = MomentumResNet(gamma, depth) if gamma else ResNet(depth)
        return Net(gamma, odemom.analyze(spectrum, flow))
    except OdemomError as error:
        notes["net"] = str(error)
        return None


def _motion(
    question: Question, theta: np.ndarray, net: Net | None, notes: dict[str, str]
) -> Motion | None:
    radians = flow_range(theta, question.eps)
    if radians > MOST_RADIANS:
        notes["motion"] = (
            f"θ is so large (norm {np.linalg.norm(theta, 2):.2g}) that points race around: no "
            "picture."
        )
        return None
    times = np.linspace(0, 1, FRAMES)
    d = question.dimension
    with np.errstate(over="ignore", invalid="ignore"):
        maps = _maps(theta, float(question.eps))
    if not np.isfinite(maps).all():
        notes["motion"] = "On their way the points leave the range of doubles: no picture."
        return None
    target = np.array(question.given, dtype=float)
    layers = None
    if net is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            layers = momentum_net(lambda x: theta @ x, np.eye(d), question.layers, float(net.gamma))
        if not np.isfinite(layers).all():
            notes["net"], layers = "The layers of the net leave the range of doubles.", None
    distance = float(np.linalg.norm(maps[-1] - target, 2))
    return Motion(theta, times, maps, layers, distance)


def _maps(theta: np.ndarray, eps: float) -> np.ndarray:
    """x(0) -> x(t) at all times: the same short step of (x, x') again and again."""
    d = len(theta)
    one, none = np.eye(d), np.zeros((d, d))
    if eps == 0:
        rate, state = theta, one
    else:
        force, friction = (theta, none) if eps == math.inf else (theta / eps, one / eps)
        rate, state = np.block([[none, one], [force, -friction]]), np.vstack([one, none])
    step = scipy.linalg.expm(rate / (FRAMES - 1))
    maps = [one]
    for _ in range(FRAMES - 1):
        state = step @ state
        maps.append(state[:d])
    return np.array(maps)
