"""The whole check-up: packages tried, the core at work, the machine, and what is missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from odemom.doctor.machine import Kernels, Machine, kernels, machine
from odemom.doctor.packages import CORE, FEATURES, Package, installed, required
from odemom.doctor.trial import Answer, ask

__all__ = ["Checked", "Diagnosis", "Feature", "check_up"]

# What is imported in any case: the core, and what the state of networks and pictures hangs on. The
# others take seconds to import, and are tried by a thorough check-up.
QUICKLY_TRIED = {CORE, "torch"}


@dataclass(frozen=True)
class Checked:
    """A package after its trial.

    Attributes
    ----------
    name, wanted : str
    version : str or None
    state : str
        "works", "installed" (its import was not tried), "missing", "too old" or "broken".
    detail : str
        What its import said, where it is broken.
    """

    name: str
    wanted: str
    version: str | None
    state: str
    detail: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether nothing is known against it."""
        return self.state in ("works", "installed")


@dataclass(frozen=True)
class Feature:
    """What an extra brings, with its packages.

    Attributes
    ----------
    extra, words : str
    packages : tuple of Checked
    """

    extra: str
    words: str
    packages: tuple[Checked, ...]

    @property
    def lacking(self) -> tuple[Checked, ...]:
        """The packages that are missing, too old or broken."""
        return tuple(package for package in self.packages if not package.is_usable)

    @property
    def cure(self) -> str:
        """The command that brings what is lacking; empty where nothing is."""
        if not self.lacking:
            return ""
        broken = [package.name for package in self.lacking if package.state == "broken"]
        target = "odemom" if self.extra == CORE else f"'odemom[{self.extra}]'"
        steps = [f"pip install --force-reinstall {' '.join(broken)}"] if broken else []
        if len(broken) < len(self.lacking):
            steps.append(f"pip install --upgrade {target}")
        return " && ".join(steps)


@dataclass(frozen=True)
class Diagnosis:
    """What a check-up found.

    Attributes
    ----------
    odemom, location, python, executable : str
    features : tuple of Feature
        The core first.
    core_error : str or None
        What went wrong when the core decided a matrix.
    machine : Machine
    kernels : Kernels
    thorough : bool
        Whether every package was imported.
    """

    odemom: str
    location: str
    python: str
    executable: str
    features: tuple[Feature, ...]
    core_error: str | None
    machine: Machine
    kernels: Kernels
    thorough: bool

    @property
    def core_works(self) -> bool:
        """Whether the core decides, and all that it asks for is there."""
        return self.core_error is None and not any(
            feature.lacking for feature in self.features if feature.extra == CORE
        )

    def to_dict(self) -> dict[str, Any]:
        """In the types of JSON, with the verdict and the cures."""
        cures = [
            {"feature": f.words, "packages": [p.name for p in f.lacking], "command": f.cure}
            for f in self.features
            if f.lacking
        ]
        return {"core_works": self.core_works, "missing": cures, **asdict(self)}


def check_up(*, thorough: bool = False) -> Diagnosis:
    """Look at versions, imports, devices, compilers and settings.

    Parameters
    ----------
    thorough : bool, default False
        Whether every package is imported, and the kernel built; that takes from seconds to a
        minute. Otherwise those of the core and PyTorch are.
    """
    from odemom import __version__

    asked = {
        extra: [installed(name, wanted) for name, wanted in packages.items()]
        for extra, packages in required().items()
    }
    tried = [
        package.module
        for extra, packages in asked.items()
        for package in packages
        if package.version is not None and (thorough or extra in QUICKLY_TRIED)
    ]
    more = ["devices", "kernel built" if thorough else "kernel"] if "torch" in tried else []
    answers = ask([*tried, "decides", *more])  # in one process: PyTorch takes seconds to import
    no_torch = Answer(error="PyTorch is not installed")
    return Diagnosis(
        __version__,
        str(Path(__file__).parents[1]),
        sys.version.split()[0],
        sys.executable,
        tuple(
            Feature(extra, FEATURES.get(extra, f"the extra {extra}"), _checked(packages, answers))
            for extra, packages in asked.items()
        ),
        answers["decides"].error,
        machine(answers.get("devices", no_torch)),
        kernels(
            answers[more[1]] if more else no_torch, installed("triton", "").version is not None
        ),
        thorough,
    )


def _checked(packages: Sequence[Package], answers: Mapping[str, Answer]) -> tuple[Checked, ...]:
    found = []
    for package in packages:
        answer = answers.get(package.module)
        detail = "" if answer is None else answer.error or ""
        state = "installed" if answer is None else "broken" if detail else "works"
        if package.version is None:
            state = "missing"
        elif package.is_too_old and not detail:
            state = "too old"
        found.append(Checked(package.name, package.wanted, package.version, state, detail))
    return tuple(found)
