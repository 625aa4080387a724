"""``odemom transform``: a trained network, or its momentum twin, trained on with other images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odemom.cli.shared import (
    AsJson,
    Out,
    Quiet,
    interruptible,
    is_quiet,
    note,
    print_json,
    say,
    waiting,
)
from odemom.cli.training_options import (
    Accelerator,
    Augment,
    BatchSize,
    ChannelsLast,
    CheckpointSteps,
    Compile,
    CudaGraph,
    Deterministic,
    Devices,
    Download,
    DryRun,
    ImageSize,
    LabelSmoothing,
    LearningRate,
    Limit,
    Nodes,
    Optimizer,
    Precision,
    Preset,
    Resume,
    Root,
    Set,
    Strategy,
    Threads,
    WeightDecay,
    check_resume,
    from_start,
    given,
    merged,
    nearest_number,
    note_compiling,
    print_dry_run,
    speaks,
)

if TYPE_CHECKING:
    from odemom.training.fine_tuning import Refit

__all__ = ["register"]

REFIT = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(transform)


def transform(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A .ckpt file of odemom, or torchvision:NAME, such as resnet50."
        ),
    ],
    gamma: Annotated[
        str | None,
        typer.Option(
            help="Of the momentum twin, in [0, 1); 0 is the network itself. By default that of the "
            "checkpoint, or 0.9."
        ),
    ] = None,
    refit: Annotated[
        int,
        typer.Option("--refit", "--epochs", help="Epochs of training; 0: transform and save only."),
    ] = REFIT,
    data: Annotated[
        str | None,
        typer.Option(
            help="A folder with one folder per class, digits, cifar10 or cifar100; by default the "
            "data of the checkpoint."
        ),
    ] = None,
    root: Root = None,
    download: Download = False,
    weights: Annotated[
        str | None,
        typer.Option(help="For torchvision: default, IMAGENET1K_V1, ..., none, or a state dict."),
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Train the head alone.")] = False,
    initial_velocity: Annotated[
        str | None, typer.Option(help='Of the twin: "zero" or "field".')
    ] = None,
    set_: Set = None,
    preset: Preset = None,
    limit: Limit = None,
    image_size: ImageSize = None,
    augment: Augment = None,
    batch_size: BatchSize = None,
    optimizer: Optimizer = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    label_smoothing: LabelSmoothing = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of data split, new head, order; by default that of the checkpoint."),
    ] = None,
    precision: Precision = None,
    compile_: Compile = None,
    cuda_graph: CudaGraph = None,
    channels_last: ChannelsLast = None,
    deterministic: Deterministic = None,
    accelerator: Accelerator = None,
    devices: Devices = 1,
    num_nodes: Nodes = 1,
    strategy: Strategy = "auto",
    threads: Threads = 1,
    checkpoint_steps: CheckpointSteps = 0,
    out: Out = Path("results/transform"),
    resume: Resume = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the momentum twin of a trained network with your images.

    With --gamma 0 the network itself is trained on: the baseline. A head for other classes is new.

    Example: odemom transform torchvision:resnet50 --gamma 0.9 --refit 5 --data pictures
    """
    from odemom.checks import as_integer, expect, optional_import

    optional_import("torch", "train")
    from odemom.training.fine_tuning import refit_config
    from odemom.training.presets import parsed_options
    from odemom.training.sources import load_source

    as_integer(refit, "refit", 0)
    with waiting("loading the network"):
        found = load_source(source, weights)
    options = merged(parsed_options(set_ or ()), given(initial_velocity=initial_velocity))
    config = refit_config(
        found,
        gamma=nearest_number("gamma", gamma),
        preset=preset,
        options=options,
        **given(
            data=data,
            root=None if root is None else str(root),
            limit=limit,
            image_size=image_size,
            augment=augment,
            epochs=max(refit, 1),
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            seed=seed,
            precision=precision,
            compile=compile_,
            cuda_graph=cuda_graph,
            channels_last=channels_last,
            deterministic=deterministic,
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
            threads=threads,
            checkpoint_steps=checkpoint_steps,
        ),
    )
    if download:
        from odemom.training.run import training_data

        training_data(config, download=True)
    expect(
        refit > 0 or not dry_run,
        "dry_run",
        got="it beside a refit of 0 epochs",
        expected="it beside --refit N, whose steps it measures",
    )
    if dry_run:
        check_resume(resume, config)
        print_dry_run(config, as_json)
    else:
        _refit(found, config, refit, out, freeze=freeze, resume=resume, as_json=as_json)


def _refit(
    source: Any, config: Any, epochs: int, out: Path, *, freeze: bool, resume: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    from odemom.records import from_here
    from odemom.training.fine_tuning import refit

    note_compiling(config)
    with interruptible(otherwise=from_start(resume)):
        found = refit(
            source, config, out_dir=out, epochs=epochs, freeze=freeze, resume=resume,
            progress=not as_json and not is_quiet(),
        )  # fmt: skip
    if not speaks():
        return
    if as_json:
        print_json(found.to_dict())
        return
    _print_table(found)
    if found.after is None and found.new_head:
        note("the head is new and untrained: --refit N trains it")
    written = found.checkpoint, Path(out) / "transform.json"
    say("\n".join(str(from_here(path)) for path in written))


def _print_table(found: Refit) -> None:
    from odemom.checks import counted

    momentum = f", gamma {found.gamma:g}" if found.gamma else ""
    rows = (
        f"; momentum rows: {found.rows}, with {counted(found.layers, 'layer')}"
        if found.rows
        else ""
    )
    say(f"{found.model}{momentum}, from {found.source}{rows}")
    head = f"new, for {len(found.classes)} classes" if found.new_head else "that of the source"
    trained = f"{found.trained_parameters} of {found.parameters} parameters trained"
    say(f"head: {head}; {trained}")
    result = found.training
    took = ""
    if result is not None:
        passes = counted(result.config.epochs, "epoch")
        took = f", {passes} in {result.seconds:.1f} s"
    say(f"test accuracy on {found.images} ({counted(found.tested, 'image')})")
    for name, accuracy in (
        ("of the source", found.original),
        ("before the refit", found.before),
        (f"after it{took}", found.after),
    ):
        if accuracy is not None:
            say(f"  {accuracy:7.2%}  {name}")
