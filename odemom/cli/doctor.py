"""``odemom doctor``: versions, devices, compilers, settings, and what is missing for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from odemom.cli.shared import AsJson, Quiet, print_plain_json, say, waiting

if TYPE_CHECKING:
    from odemom.doctor.checkup import Diagnosis, Feature
    from odemom.doctor.machine import Machine

__all__ = ["register"]

GIGA = 1e9


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Import every package, not those of the core and PyTorch alone, and build the "
            "fused kernel: seconds to a minute.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what is installed, what works, and what is missing.

    The exit status is 0 if the core works (decisions, witnesses, psi, the command line), whatever
    is missing for the rest, and 1 if something of the core is missing, too old or broken.

    Example: odemom doctor

    For a report of a defect: odemom doctor --json
    """
    from odemom.doctor.checkup import check_up

    with waiting("trying the packages"):
        found = check_up(thorough=thorough)
    if as_json:
        print_plain_json(found.to_dict())  # without NumPy, which may be broken
    else:
        _print(found)
    raise typer.Exit(0 if found.core_works else 1)


def _print(found: Diagnosis) -> None:
    say(f"odemom {found.odemom} in {found.location}")
    say(f"Python {found.python}, {found.executable}")
    _print_machine(found.machine)
    kernels = found.kernels
    version = f" ({kernels.compiler_version})" if kernels.compiler_version else ""
    say(f"C compiler: {kernels.compiler or 'none found'}{version}")
    say(f"Triton: {'installed' if kernels.triton else 'not installed'}")
    say(f"reversible layers on the CPU: {kernels.cpu}")
    say(f"reversible layers on CUDA: {kernels.cuda}")
    for feature in found.features:
        _print_feature(feature)
    lacking = [feature for feature in found.features if feature.lacking]
    if lacking:
        say("\nWhat is missing, and what brings it:")
    for feature in lacking:
        say(f"  {feature.words}\n    {feature.cure}")
    if found.core_error is not None:
        say(f"\nThe core does not decide a matrix of size 2: {found.core_error}")
    if any(p.state == "installed" for feature in found.features for p in feature.packages):
        say("\nWhat says installed was not imported: odemom doctor --thorough tries it.")
    say("The core works." if found.core_works else "The core does not work.")


def _print_machine(machine: Machine) -> None:
    vectors = f"; {', '.join(machine.vector_instructions)}" if machine.vector_instructions else ""
    say(f"{machine.system}\n{machine.cpu}{vectors}")
    memory = "unknown" if machine.memory is None else f"{machine.memory / GIGA:.1f} GB"
    free = machine.available_memory
    say(
        f"{machine.usable_cores} of {machine.cores} cores may be used; memory: {memory}"
        f"{'' if free is None else f', of which {free / GIGA:.1f} GB are available'}"
    )
    say(f"GPUs: {', '.join(machine.gpus) or 'none seen'} ({machine.gpu_note})")
    settings = [f"{name}={value}" for name, value in machine.settings.items()]
    threads = machine.torch_threads
    say(
        f"settings: {', '.join(settings) or 'none, so that every library takes all cores'}"
        f"{'' if threads is None else f'; PyTorch takes {threads} threads'}"
    )


def _print_feature(feature: Feature) -> None:
    say(f"\n{feature.words}")
    for package in feature.packages:
        version = f"{package.version or '-':<12} {package.wanted or 'any':<10}"
        say(f"  {package.name:<14} {version} {package.state}", " " * 4)
        if package.detail:
            say(f"    {package.detail}", " " * 4)
