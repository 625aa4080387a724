"""What odemom asks for: the packages of the core and of each extra, and which of them are here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["CORE", "FEATURES", "Package", "fits", "installed", "required"]

CORE = "core"
UNKNOWN = "unknown"
# What each extra is for. An extra that is not named here is shown under its own name.
FEATURES = {
    CORE: "decisions, witnesses, psi, the command line",
    "plots": "pictures: odemom reproduce, survey, demo",
    "torch": "networks: odemom.nn",
    "train": "trainings: odemom train, evaluate, predict, transform",
    "sweep": "backends joblib and dask, odemom sweep",
    "explore": "the interactive page: odemom explore",
    "notebooks": "the notebooks",
}
FOR_DEVELOPERS = {"all", "bench", "docs", "dev"}
MODULES = {
    "lightning": "lightning.pytorch",
    "python-flint": "flint",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "scipy": "scipy.linalg",
}
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:\[(?P<extras>[^\]]*)\])?\s*\(?(?P<wanted>[^;)]*)\)?\s*"
    r"(?:;.*?extra\s*==\s*['\"](?P<extra>[\w-]+)['\"].*)?$"
)


@dataclass(frozen=True)
class Package:
    """A package that odemom asks for.

    Attributes
    ----------
    name : str
        As it is installed.
    wanted : str
        The versions that odemom asks for, such as ``">=1.26"``; empty for any.
    version : str or None
        The one that is installed; "unknown" of a package that does not say.
    """

    name: str
    wanted: str
    version: str | None

    @property
    def module(self) -> str:
        """What is imported."""
        return MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def is_too_old(self) -> bool:
        """Whether the version that is installed is below the least one."""
        known = self.version is not None and self.version != UNKNOWN
        return known and not fits(str(self.version), self.wanted)


def fits(version: str, wanted: str) -> bool:
    """Whether a version meets every lower bound and equality of a requirement.

    Examples
    --------
    >>> fits("1.26.4", ">=1.26"), fits("1.9", ">=1.26"), fits("2.0rc1", ">=1.5,==2.0")
    (True, False, True)
    """
    have = _release(version)
    for relation, bound in re.findall(r"(>=|==)\s*([\w.]+)", wanted):
        asked = _release(bound)
        length = max(len(have), len(asked))
        mine, least = (part + (0,) * (length - len(part)) for part in (have, asked))
        if mine < least or (relation == "==" and mine != least):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, numbers.group().split("."))) if numbers else ()


def required(lines: Iterable[str] | None = None) -> dict[str, dict[str, str]]:
    """For the core and each extra for users: the packages, and which versions are asked for.

    A package stands where it is asked for first, in the order of `FEATURES`.

    Parameters
    ----------
    lines : iterable of str, optional
        Requirements as metadata spell them; by default those of odemom.

    Examples
    --------
    >>> required(["numpy>=1.26", "torch>=2.6; extra == 'torch'"])
    {'core': {'numpy': '>=1.26'}, 'torch': {'torch': '>=2.6'}}
    """
    found: dict[str, dict[str, str]] = {CORE: {}}
    for line in _requirements() if lines is None else lines:
        match = REQUIREMENT.match(line.strip())
        extra = CORE if match is None or match["extra"] is None else match["extra"]
        if match is None or extra in FOR_DEVELOPERS:
            continue
        mine = found.setdefault(extra, {})
        if match["name"].lower() == "odemom":  # an extra that holds another one, shown there
            continue
        mine[match["name"].lower()] = match["wanted"].strip()
        mine.update({brought: "" for brought in (match["extras"] or "").split(",") if brought})
    order = [name for name in FEATURES if name in found]
    shown: set[str] = set()
    result = {}
    for extra in [*order, *(name for name in found if name not in order)]:
        result[extra] = {name: found[extra][name] for name in found[extra] if name not in shown}
        shown |= result[extra].keys()
    return result


def _requirements() -> list[str]:
    """Those of the checkout that odemom is run from, else those that it was installed with."""
    project = _project(Path(__file__).parents[2] / "pyproject.toml")
    if project is not None:
        extras: Mapping[str, list[str]] = project.get("optional-dependencies", {})
        return [
            *project.get("dependencies", []),
            *(f"{line}; extra == '{name}'" for name in extras for line in extras[name]),
        ]
    try:
        return importlib.metadata.requires("odemom") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _project(path: Path) -> Mapping | None:
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return None
    return project if project.get("name") == "odemom" else None


def installed(name: str, wanted: str) -> Package:
    """The package with the version that is installed."""
    found = Package(name, wanted, _version(name))
    if found.version is None:
        # Some are there without a word on their version: copied, or of a system's own packages.
        there = importlib.util.find_spec(found.module.partition(".")[0]) is not None
        return replace(found, version=UNKNOWN) if there else found
    return found


def _version(name: str) -> str | None:
    """The version that the metadata tell; None without them, or where an installation broke off."""
    try:
        return importlib.metadata.version(name) or None
    except (importlib.metadata.PackageNotFoundError, KeyError, OSError):
        return None
