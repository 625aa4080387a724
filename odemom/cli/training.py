"""``odemom train`` and ``demo``: trainings, and the guided tour."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from odemom.cli.shared import AsJson, Eps, Out, print_json, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command()(demo)


def train(
    data: Annotated[str, typer.Option(help="The data set: digits.")] = "digits",
    order: Annotated[int, typer.Option(help="The order of the ODE blocks: 1 or 2.")] = 2,
    eps: Eps = "1",
    initial_velocity: Annotated[str, typer.Option(help='"zero" or "field".')] = "zero",
    epochs: Annotated[int | None, typer.Option(help="Passes through the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    seed: Annotated[int, typer.Option(help="Of data split, weights and order of images.")] = 0,
    adjoint: Annotated[bool, typer.Option(help="Gradients by the adjoint ODE.")] = False,
    threads: Annotated[int, typer.Option(help="Threads on the CPU; one suits small images.")] = 1,
    out: Out = Path("results/train"),
    resume: Annotated[
        Path | None, typer.Option(help="Go on from the last.ckpt of an interrupted training.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a small ODE network on real images, and test it."""
    from odemom.checks import as_eps, optional_import

    optional_import("torch", "train")
    from odemom.training import TrainingConfig
    from odemom.training.run import train as run_training

    asked: dict[str, Any] = {
        "data": data,
        "order": order,
        "eps": float(as_eps(eps)),
        "initial_velocity": initial_velocity,
        "seed": seed,
        "adjoint": adjoint,
        "threads": threads,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }
    config = TrainingConfig(**{k: v for k, v in asked.items() if v is not None})
    try:
        result = run_training(config, out_dir=out, resume=resume, progress=not as_json)
    except KeyboardInterrupt as interrupt:  # its message names the checkpoint to resume from
        print(f"\ninterrupted: {interrupt}", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print_json(result.to_dict())
        return
    say(
        f"order {config.order}: test accuracy {result.test_accuracy:.2%}, "
        f"{result.mean_nfe:.1f} function evaluations a forward pass, "
        f"{result.seconds:.1f} s of training"
    )
    say(f"{result.csv}\n{result.checkpoint}\n{Path(out) / 'result.json'}")


def demo(
    out: Out = Path("results/demo"),
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.")] = None,
) -> None:
    """A guided tour: decisions explained, Figure 4, two trained networks, one page of results."""
    from odemom.demo.tour import tour

    tour(out, epochs=epochs)
