"""Second-order neural ODEs beside first-order ones: error and function evaluations.

Six models (`_ode_models`) learn four problems (`_ode_problems`) that their papers share: x -> -x on
the line, a disc inside a ring, and two damped oscillators, let go at rest or thrown. Simulated
oscillators stand in for the silverbox and plane-vibration records, for which we know of no stated
licence.

Equal effort: no model has more than ``budget`` parameters, f is one hidden layer of tanh, as wide
as the budget allows; Adam for ``steps`` steps on all the training data, with a fixed-step solver;
the same rates for every model, of which the one with the least mean validation loss is kept. Test
errors and evaluations of f are those of dopri5 at rtol = atol = ``tolerance`` in double precision,
forward once over the test data, backward through the adjoint equation. The adjoint solver starts
anew at each of the 5 times at which an oscillator is compared.

What can be known before. On the line a first-order ODE is monotone, in x(0) and in time: the error
of the best monotone answer is a bound. From rest at a finite eps, x -> -x is out of reach of every
f on the line: with F' = f, F(x) - eps x'²/2 grows along a trajectory, so that going from a to -a
needs F(-a) > F(a), and going back the opposite. Theorem 1 says how near a linear f comes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from odemom.checks import as_integer, expect, shown
from odemom.experiments._ode_models import MODELS, Nets, Vectors, widest
from odemom.experiments._ode_problems import PROBLEMS, Problem, Split, first_order_bound, loss_of
from odemom.experiments._row_adam import check_training, one_thread, train_rows
from odemom.experiments._second_order_claims import claims
from odemom.experiments._second_order_results import Comparison, Fit
from odemom.experiments.frame import Experiment
from odemom.nn import ODEBlock
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Comparison", "Config", "Fit", "Task"]

LEAST_BUDGET = 32  # every model has at least one hidden unit


@dataclass(frozen=True)
class Config:
    """What is compared.

    Parameters
    ----------
    problems, models : tuple of str
        Of `PROBLEMS` and `MODELS`.
    seeds : int
        Data sets and initial weights per problem and model.
    rates : tuple of float
        Learning rates that are tried.
    steps : int
        Of Adam.
    budget : int
        The most parameters a model may have, at least 32.
    tolerance : float
        Of the adaptive solver, in [1e-10, 1e-2].
    device : str
        Where the training runs.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    problems: tuple[str, ...] = tuple(PROBLEMS)
    models: tuple[str, ...] = tuple(MODELS)
    seeds: int = 10
    rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)
    steps: int = 300
    budget: int = 128
    tolerance: float = 1e-5
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)
        for field, known in (("problems", PROBLEMS), ("models", MODELS)):
            chosen = getattr(self, field)
            expect(
                len(chosen) > 0 and len(set(chosen)) == len(chosen) and set(chosen) <= set(known),
                field,
                got=shown(chosen),
                expected=f"some of {', '.join(known)}, each once",
            )
        check_training(self.rates, self.device, 10.0)
        as_integer(self.seeds, "seeds", 1)
        as_integer(self.steps, "steps", 1)
        as_integer(self.budget, "budget", LEAST_BUDGET)
        expect(
            1e-10 <= self.tolerance <= 1e-2,
            "tolerance",
            got=shown(self.tolerance),
            expected="a number in [1e-10, 1e-2]",
        )


@dataclass(frozen=True)
class Task:
    """All seeds and rates of one model on one problem: one batch of nets."""

    problem: str
    model: str
    seeds: int
    rates: tuple[float, ...]
    steps: int
    budget: int
    tolerance: float
    device: str


def tasks(config: Config) -> list[Task]:
    """One task per problem and model."""
    rest = config.seeds, config.rates, config.steps, config.budget, config.tolerance, config.device
    return [Task(problem, model, *rest) for problem in config.problems for model in config.models]


def run(task: Task) -> Fit:
    """Train, choose the rate, and test."""
    problem, seeds = PROBLEMS[task.problem], range(task.seeds)
    nets = widest(MODELS[task.model], problem.dim, problem.classifies, task.budget)
    with one_thread():
        trained = _trained(task, nets)
        validation = [_fixed_step_loss(nets, problem, rows, "validation") for rows in trained]
        means = [float(losses.mean().nan_to_num(nan=math.inf)) for losses in validation]
        best = int(np.argmin(means))
        rows, test = trained[best].double().cpu(), problem.draw(seeds, "test")
        tested = [_tested(task, nets, rows[[i]], test, i) for i in seeds]
    errors, misses, forward, backward = zip(*tested, strict=True)
    friction = [] if nets.form.friction == "none" else nets.friction(rows).tolist()
    return Fit(
        problem=task.problem,
        model=task.model,
        parameters=nets.parameters,
        width=nets.width,
        rates=task.rates,
        validation=tuple(_rounded(mean) for mean in means),
        rate=task.rates[best],
        loss=tuple(map(_rounded, errors)),
        misclassified=misses if problem.classifies else (),
        forward=forward,
        backward=backward,
        friction=tuple(map(_rounded, friction)),
        bound=tuple(map(_rounded, first_order_bound(problem, test))),
        size=tuple(map(_rounded, test.target.square().flatten(1).mean(dim=1).tolist())),
    )


def gather(config: Config, fits: Sequence[Fit]) -> Comparison:
    """All fits together."""
    return Comparison(config.problems, config.models, tuple(fits))


def _trained(task: Task, nets: Nets) -> list[Tensor]:
    """The trained parameters, (seeds, parameters) for each rate."""
    problem, seeds, tries = PROBLEMS[task.problem], list(range(task.seeds)), len(task.rates)
    train = problem.draw(seeds, "train")
    x = train.x.to(task.device, torch.float32).repeat(tries, 1, 1)
    target = train.target.to(task.device, torch.float32).repeat(tries, 1, 1, 1)

    def loss(rows: Tensor) -> Tensor:
        return loss_of(problem, _fixed_step_output(nets, problem, rows, x, "train"), target)

    start = nets.initial(seeds * tries, task.device)
    rates = [rate for rate in task.rates for _ in seeds]
    return list(train_rows(start, rates, task.steps, loss).split(task.seeds))


def _fixed_step_output(nets: Nets, problem: Problem, rows: Tensor, x: Tensor, part: str) -> Tensor:
    path = nets.solve(rows, x, problem.step, problem.steps)
    return torch.stack([nets.output(rows, path[i]) for i in problem.recorded[part]], dim=1)


def _fixed_step_loss(nets: Nets, problem: Problem, rows: Tensor, part: str) -> Tensor:
    split = problem.draw(range(len(rows)), part)
    output = _fixed_step_output(nets, problem, rows, split.x.to(rows), part)
    return loss_of(problem, output, split.target.to(rows))


def _tested(
    task: Task, nets: Nets, row: Tensor, test: Split, seed: int
) -> tuple[float, float, int, int]:
    """The loss, the share misclassified, and the evaluations of f forward and backward."""
    problem, x, target = PROBLEMS[task.problem], test.x[[seed]], test.target[[seed]]
    block = ODEBlock(
        Vectors(nets, row),
        order=1,  # of the state z
        horizon=problem.horizon,
        rtol=task.tolerance,
        atol=task.tolerance,
        adjoint=True,
    )
    times = [problem.horizon * i / problem.steps for i in problem.recorded["test"]]
    states = block.trajectory(nets.start(row, x), times)
    output = torch.stack([nets.output(row, z) for z in states], dim=1)
    loss = loss_of(problem, output, target)
    forward = block.nfe + (nets.form.start == "field")
    loss.sum().backward()
    wrong = (output * target <= 0).double().mean() if problem.classifies else torch.zeros(())
    return float(loss.detach()), float(wrong), forward, block.nfe_backward


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(problems=("parity", "spheres"), seeds=2, rates=(0.1,), steps=3, tolerance=1e-2),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
