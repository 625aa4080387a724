"""``odemom train``, ``evaluate``, ``predict``, ``sweep`` and ``demo``: trainings and their use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from odemom.cli.shared import (
    AsJson,
    Backend,
    Out,
    Quiet,
    Scheduler,
    Workers,
    answer,
    complain,
    interruptible,
    is_quiet,
    note,
    print_json,
    progress_bar,
    resumable,
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
    Data,
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

__all__ = ["register"]

FAILED = 2
Checkpoint = Annotated[Path, typer.Argument(metavar="FILE", help="A .ckpt file of odemom train.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (train, evaluate, predict, sweep, demo):
        app.command()(command)


def train(
    model: Annotated[
        str | None,
        typer.Option(
            help="The network, such as resnet20, momentum-resnet20 or torchvision:resnet50; by "
            "default odenet, on digits odenet-digits."
        ),
    ] = None,
    data: Data = "digits",
    root: Root = None,
    download: Download = False,
    gamma: Annotated[str | None, typer.Option(help="The momentum of a momentum network.")] = None,
    order: Annotated[int | None, typer.Option(help="The order of ODE blocks, 1 or 2.")] = None,
    eps: Annotated[
        str | None, typer.Option("--eps", "-e", help="The mass of ODE blocks: 0.5, 1/2, inf.")
    ] = None,
    initial_velocity: Annotated[
        str | None, typer.Option(help="How ODE blocks and momentum rows start: zero or field.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="How many channels the state of ODE blocks has.")
    ] = None,
    set_: Set = None,
    preset: Preset = None,
    limit: Limit = None,
    image_size: ImageSize = None,
    augment: Augment = None,
    epochs: Annotated[
        int | None, typer.Option(help="How many passes through the training images are made.")
    ] = None,
    batch_size: BatchSize = None,
    optimizer: Optimizer = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    label_smoothing: LabelSmoothing = None,
    seed: Annotated[
        int, typer.Option(help="The seed of the split, the weights and the order of images.")
    ] = 0,
    adjoint: Annotated[
        bool,
        typer.Option(
            "--adjoint/--no-adjoint", help="Take gradients of odenet-digits by the adjoint ODE."
        ),
    ] = False,
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
    out: Out = Path("results/train"),
    resume: Resume = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on images, test it, and keep its checkpoints.

    Writes checkpoints, a table with a row per epoch and result.json into --out. An interrupted
    training goes on with --resume, to the very weights of one without interruption.

    Example: odemom train --model odenet --order 2 --channels 8 --epochs 3
    """
    from odemom.checks import optional_import

    optional_import("torch", "train")
    from odemom.training.presets import configured, parsed_options, refuse_idle_mass

    options = merged(
        parsed_options(set_ or ()),
        given(
            gamma=nearest_number("gamma", gamma),
            order=order,
            eps=nearest_number("eps", eps),
            initial_velocity=initial_velocity,
            channels=channels,
            adjoint=adjoint or None,
        ),
    )
    fields = given(
        data=data,
        root=None if root is None else str(root),
        limit=limit,
        image_size=image_size,
        augment=augment,
        epochs=epochs,
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
    )
    refuse_idle_mass(options)
    config = configured(preset, model, options, fields)
    if download:
        from odemom.training.run import training_data

        training_data(config, download=True)
    if dry_run:
        check_resume(resume, config)
        print_dry_run(config, as_json)
    else:
        _train(config, out, resume, as_json)


def _train(config: Any, out: Path, resume: Path | None, as_json: bool) -> None:
    from odemom.checks import counted
    from odemom.records import from_here
    from odemom.training.run import train as run_training

    note_compiling(config)
    shown = not as_json and not is_quiet()
    with interruptible(otherwise=from_start(resume)):
        result = run_training(config, out_dir=out, resume=resume, progress=shown)
    if not speaks():
        return
    if as_json:
        print_json(result.to_dict())
        return
    order = config.options.get("order")
    name = config.model if order is None else f"{config.model}, order {order}"
    nfe = f"{result.mean_nfe:.1f} function evaluations a forward pass, " if result.mean_nfe else ""
    say(
        f"{name}: test accuracy {result.test_accuracy:.2%} on {result.source} "
        f"({counted(result.tested, 'image')}), {nfe}{result.seconds:.1f} s of training"
    )
    written = result.csv, result.checkpoint, Path(out) / "result.json"
    say("\n".join(str(from_here(path)) for path in written))


def evaluate(
    checkpoint: Checkpoint,
    gamma: Annotated[
        str | None, typer.Option(help="Run with another gamma than in the training.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Test on other images with the same classes: a folder's test images, or all of "
            "them where it has no folder test."
        ),
    ] = None,
    root: Root = None,
    device: Annotated[str, typer.Option(help="Where to run: cpu or cuda.")] = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Test the network of a checkpoint, on its test images or others.

    Example: odemom evaluate results/train/checkpoints/best.ckpt
    """
    from odemom.checks import counted, optional_import

    optional_import("torch", "train")
    from odemom.training.use import evaluate as run_evaluation

    with waiting("testing"):
        found = run_evaluation(
            checkpoint,
            gamma=nearest_number("gamma", gamma),
            data=data,
            root=root,
            device=device,
        )
    if as_json:
        print_json(found)
        return
    asked = "" if gamma is None else f", gamma {gamma}"
    answer(
        f"{found.model}{asked}: test accuracy {found.accuracy:.2%} on {found.source} "
        f"({counted(found.images, 'image')}), loss {found.loss:.4f}"
    )


def predict(
    checkpoint: Checkpoint,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="The files of the images.")
    ],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say which class images belong to, and how probably.

    Example: odemom predict results/train/checkpoints/best.ckpt one.png two.png
    """
    from odemom.checks import optional_import

    optional_import("torch", "train")
    from odemom.training.use import predict as run_prediction

    with waiting("looking at the images"):
        found = run_prediction(checkpoint, images)
    if as_json:
        print_json(found)
        return
    for each in found:
        others = list(each.probabilities.items())[:3]
        answer(f"{each.file}: " + ", ".join(f"{label} {share:.1%}" for label, share in others))


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .yaml file with base and grid.")],
    out: Out = Path("results/sweep"),
    backend: Backend = "serial",
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train every combination of the settings in a file.

    Finished ones are not trained again.

    Example: odemom sweep sweep.yaml --backend joblib --workers 4
    """
    from odemom.checks import optional_import

    optional_import("torch", "train")
    from odemom.sweep.trainings import read_sweep, run_sweep, said

    plan = read_sweep(file)
    place: dict[str, Any] = {"backend": backend, "workers": workers, "scheduler": scheduler}
    with resumable(out), progress_bar("trainings", shown=not as_json) as progress:
        found = run_sweep(plan, out, progress=progress, **place)
    if as_json:
        print_json(found)
        raise typer.Exit(FAILED if found.failures else 0)
    for row in found.rows:
        say(f"{said(row.settings)}: test accuracy {row.test_accuracy:.2%} on {row.source}")
    say(f"{Path(out) / 'sweep.csv'}\n{Path(out) / 'sweep.json'}")
    for failure in found.failures:
        complain(f"{said(failure.settings)}: {failure.error}")
    if found.failures:
        note("the others are kept: the same command tries again what failed")
        raise typer.Exit(FAILED)


def demo(
    out: Out = Path("results/demo"),
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How many epochs each training on digits takes, by default 4."
        ),
    ] = None,
    no_train: Annotated[
        bool, typer.Option("--no-train", help="Leave out the last part, networks on digits.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take the guided tour, and leave one page of results.

    Matrices are decided and explained, Figure 4 is drawn, a plane is mirrored and x -> -x³ is
    learned, which takes up to a minute on two cores; then networks of both orders are trained on
    handwritten digits, some 40 seconds more. What needs PyTorch is left out where it is not
    installed.

    Example: odemom demo --out results/demo
    """
    from odemom.demo.tour import tour

    page = tour(out, epochs=epochs, digits=not no_train, quiet=as_json or quiet)
    if as_json:
        files = sorted(path for path in page.parent.rglob("*") if path.is_file())
        print_json({"page": page, "files": files})
