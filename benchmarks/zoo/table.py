"""The trials of the zoo as a table, for the terminal, for the manual and for programs."""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from benchmarks.harness import processor
from benchmarks.zoo.trial import Trial
from odemom.records import write_json, write_text_atomic

__all__ = ["notes", "summary", "table", "written"]

HEADINGS = (
    "network", "parameters", "verdict", "rows", "share", "oracle", "exact", "auto",
    "rounding", "same", "kept", "peak",
)  # fmt: skip
LEFT = {"network", "verdict", "rows"}
PACKAGES = ("odemom", "torch", "torchvision", "timm", "transformers")


def cells(trial: Trial) -> list[str]:
    """One line of the table."""
    name = f"{trial.library}: {trial.name}"
    if not trial.errors:
        return [name, _count(trial.parameters), trial.verdict] + ["-"] * 9
    found = trial.evaluated or trial.errors
    errors = [f"{found[name]:.0e}" for name in ("oracle", "exact", "auto", "rounding")]
    if trial.evaluated:
        errors[-1] += " (eval)"
    memory = [f"{trial.memory[name]:.2f}" for name in ("kept", "peak")]
    same = "yes" if all(trial.checks.values()) else "no"
    rows = ", ".join(map(str, trial.rows)) or "none"
    verdict = ", ".join([trial.verdict] + [f"differs: {what}" for what in trial.differences])
    return [name, _count(trial.parameters), verdict, rows, f"{trial.share:.0%}", *errors, same,
            *memory]  # fmt: skip


def notes(trials: list[Trial]) -> list[str]:
    """Why networks are refused, and what twins say of themselves."""
    return [f"{t.library}: {t.name}, {t.verdict}: {t.why}." for t in trials if t.why]


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.1f}M" if parameters >= 1e6 else f"{parameters / 1e3:.0f}k"


def table(trials: list[Trial]) -> Table:
    """The trials, to print."""
    made = Table(title=summary(trials))
    for heading in HEADINGS:
        made.add_column(heading, justify="left" if heading in LEFT else "right")
    for trial in trials:
        made.add_row(*cells(trial), style="red" if trial.differences else None)
    return made


def summary(trials: list[Trial]) -> str:
    """One sentence."""
    count = {
        verdict: sum(trial.verdict == verdict for trial in trials)
        for verdict in ("accepted", "no row", "refused", "failed")
    }
    silent = sum(bool(trial.differences) for trial in trials)
    return (
        f"{len(trials)} networks: {count['accepted']} accepted, {count['no row']} without two "
        f"blocks in a row (said), {count['refused']} refused, {count['failed']} failed; "
        f"silent differences: {silent}."
    )


def markdown(trials: list[Trial]) -> str:
    """The sentence and the table for the manual."""
    rules = ["---" if heading in LEFT else "---:" for heading in HEADINGS]
    lines = [summary(trials), "", _line(list(HEADINGS)), _line(rules)]
    lines += [*(_line(cells(trial)) for trial in trials), "", *(f"- {n}" for n in notes(trials))]
    return "\n".join(lines) + "\n"


def _line(parts: list[str]) -> str:
    return f"| {' | '.join(parts)} |"


def written(folder: Path, trials: list[Trial], seconds: float) -> None:
    """Write ``zoo.json`` and ``zoo.md`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    content = {
        "versions": versions,
        "machine": processor(),
        "seconds": seconds,
        "trials": [asdict(trial) for trial in trials],
    }
    write_json(folder / "zoo.json", content)
    write_text_atomic(folder / "zoo.md", markdown(trials))
