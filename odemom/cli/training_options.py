"""The options that the commands which train have in common, and what is made of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[
    str,
    typer.Option(
        help="The images: digits, cifar10, cifar100, or a folder with one folder per class."
    ),
]
Root = Annotated[
    Path | None, typer.Option(help="Where data lie or are decoded to; by default the user's cache.")
]
Download = Annotated[bool, typer.Option("--download", help="Fetch CIFAR where it is missing.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set another option of the network, as blocks=0 of odenet; may be repeated.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="Start from the settings for a laptop or a gpu; laptop is the default."),
]
Limit = Annotated[int | None, typer.Option(help="Take so many training images only.")]
ImageSize = Annotated[
    int | None, typer.Option(help="Scale the images of a folder to so many pixels.")
]
Augment = Annotated[
    str | None, typer.Option(help="Change training images at random: none, flip or crop+flip.")
]
BatchSize = Annotated[int | None, typer.Option(help="How many images make a step on each device.")]
Optimizer = Annotated[str | None, typer.Option(help="The optimizer, adamw or sgd.")]
LearningRate = Annotated[
    float | None,
    typer.Option("--learning-rate", "--lr", help="The largest rate of the one-cycle schedule."),
]
WeightDecay = Annotated[float | None, typer.Option(help="The weight decay of the optimizer.")]
LabelSmoothing = Annotated[
    float | None, typer.Option(help="The label smoothing of the loss, in [0, 1).")
]
Precision = Annotated[str | None, typer.Option(help="The precision, 32 or bf16-mixed.")]
Compile = Annotated[
    bool | None,
    typer.Option("--compile/--no-compile", help="Let torch.compile compile the network."),
]
CudaGraph = Annotated[
    bool | None, typer.Option(help="Replay the network's passes as CUDA graphs, on one GPU.")
]
ChannelsLast = Annotated[
    bool | None, typer.Option(help="Use the memory format that suits convolutions on GPUs.")
]
Deterministic = Annotated[
    bool | None, typer.Option(help="Take only algorithms that give equal results again.")
]
Accelerator = Annotated[str | None, typer.Option(help="The kind of device: auto, cpu, gpu or mps.")]
Devices = Annotated[int, typer.Option(help="How many processes run here, one per device.")]
Nodes = Annotated[int, typer.Option(help="How many machines take part.")]
Strategy = Annotated[str, typer.Option(help="How several devices share the work: auto or ddp.")]
Threads = Annotated[int, typer.Option(help="How many threads a CPU uses; one suits small images.")]
CheckpointSteps = Annotated[
    int, typer.Option(help="Keep the state every so many steps too, not at epochs only.")
]
Resume = Annotated[
    Path | None, typer.Option(help="Go on from the last.ckpt of an interrupted training.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Measure only: memory, one step, the largest batch.")
]


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def merged(set_: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Options of ``--set`` and those with a name of their own; none may come twice."""
    from odemom.checks import expect

    for name in set_:
        option = "--" + name.replace("_", "-")
        twice = name in own
        expect(
            not twice,
            name,
            got=f"{set_[name]!r} by --set and {own.get(name)!r} by {option}",
            expected="one of the two",
        )
    return set_ | own


def check_resume(resume: Path | None, config: Any) -> None:
    """Refuse, before a dry run, a checkpoint that the training itself would refuse."""
    from odemom.training.checkpoints import read_checkpoint

    if resume is not None:
        read_checkpoint(resume, config)


def from_start(resume: Path | None) -> str:
    """How to go on after Ctrl-C before the first epoch."""
    from odemom.training.surroundings import START_AGAIN, go_on_from

    return START_AGAIN if resume is None else go_on_from(resume)


def nearest_number(name: str, text: str | None) -> float | None:
    """The double nearest to the number that the text of an option spells."""
    from odemom.checks import as_number, nearest_double

    return None if text is None else nearest_double(as_number(text, name, "a number"))


def speaks() -> bool:
    """Whether this process is the one of several that prints."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def note_compiling(config: Any) -> None:
    """Say where there is little to compile: rows that recompute run outside of compiled code."""
    from odemom.cli.shared import note
    from odemom.models.table import model_options

    options = {**model_options(config.model), **config.options}
    if config.compile and options.get("reversible", False) is not False and speaks():
        note(
            f"compile: {config.model} recomputes its activations, outside of compiled code; "
            "--set reversible=false compiles it whole, --no-compile saves the time of compiling"
        )


def print_dry_run(config: Any, as_json: bool) -> None:
    """Print what a training would take."""
    from odemom.checks import counted
    from odemom.cli.shared import answer, print_json, waiting
    from odemom.training.bar import duration
    from odemom.training.dry_run import dry_run

    with waiting("measuring a step"):
        found = dry_run(config)
    memory = found.memory
    if as_json:
        numbers = {"parameters": memory.parameters, "step_bytes": memory.step}
        numbers |= {"available_bytes": memory.available, "largest_batch": memory.largest_batch}
        images = {"images": found.images, "validated": found.validated, "tested": found.tested}
        images |= {"left": found.left}
        times = {"step_seconds": found.step_seconds, "steps": found.steps}
        print_json(
            {"source": found.source, **images, "device": found.device, **numbers, **times}
        )  # fmt: skip
        return
    answer(f"{config.model}: {memory.parameters} parameters")
    answer(
        f"{found.source}: {counted(found.images, 'training image')}, {found.validated:,} for "
        f"validation, {found.tested:,} to test; {counted(found.steps, 'step')} in all"
        + (f", {counted(found.left, 'image')} of a pass left out" if found.left else "")
    )
    answer(f"memory: {memory}")
    if config.cuda_graph:
        answer("without the CUDA graphs, which are made when the training begins:")
    answer(
        f"time: {_short(found.step_seconds)} a step on {found.device}, about "
        f"{duration(found.seconds)} for all steps, without validation and test"
    )


def _short(seconds: float) -> str:
    """Milliseconds, or seconds from one on."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
