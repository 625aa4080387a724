"""The summary page: every claim of the experiments in a folder, with its verdict."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.checks import counted, invalid, shown
from odemom.errors import InvalidInputError
from odemom.experiments.frame import Claim, names
from odemom.records import as_path, from_json, write_all_atomic
from odemom.reproduce.run import read_payload
from odemom.reproduce.settings import command_for

__all__ = ["Entry", "counts_text", "entries_in", "seconds_text", "write_summary"]

MARKS = {"holds": "✓", "does not hold": "✗", "not judged": "–"}
VERBS = (("holds", "hold"), ("does not hold", "do not hold"), ("was not judged", "were not judged"))
FORMER = {"not run": "not judged"}  # in earlier versions
CSS = {"holds": "yes", "does not hold": "no", "not judged": "open"}
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; width: 100% }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #8884; text-align: left;
  vertical-align: top }
.yes { color: #007a55; font-weight: 600 } .no { color: #c0392b; font-weight: 600 }
.open { color: #888 } td:last-child { white-space: nowrap }
img { max-width: min(100%, 44rem); background: white; border-radius: 4px }
code { background: #8882; padding: .1rem .3rem; border-radius: 4px } footer, small { color: #888 }
@media (max-width: 40rem) { table, tbody, tr, td { display: block } thead, th { display: none }
  td { border: 0; padding: .1rem 0 } tr { border-bottom: 1px solid #8884; padding: .4rem 0 } }
"""


@dataclass(frozen=True)
class Entry:
    """One experiment of the page.

    Attributes
    ----------
    name, summary : str
    claims : tuple of Claim
    seconds : float
        Of its tasks, summed over the workers.
    pictures : tuple of str
        File names in the folder: the main picture first.
    provenance : dict
    command : str
        What computes it again.
    """

    name: str
    summary: str
    claims: tuple[Claim, ...]
    seconds: float
    pictures: tuple[str, ...]
    provenance: dict[str, Any]
    command: str


def entries_in(folder: str | os.PathLike[str]) -> tuple[list[Entry], dict[str, str]]:
    """The experiments whose numbers lie in a folder, in the order of their names.

    Returns
    -------
    entries : list of Entry
    unreadable : dict
        File name -> why it could not be read.
    """
    place, entries, unreadable = as_path(folder, "out"), [], {}
    for name in names():
        path = place / f"{name}.json"
        if not path.exists():
            continue
        try:
            entries.append(_entry(name, path))
        except InvalidInputError as error:
            unreadable[path.name] = str(error)
    return entries, unreadable


def _entry(name: str, path: Path) -> Entry:
    payload = read_payload(path)
    if payload["experiment"] != name:
        raise invalid(
            "file",
            got=f"{path} with numbers of {shown(payload['experiment'])}",
            expected=f"those of {name}",
        )
    files = [f"{name}.gif", f"{name}.png"]
    files += sorted(p.name for p in path.parent.glob(f"{name}-*.png") if _owner(p.stem) == name)
    return Entry(
        name,
        payload["summary"],
        from_json(tuple[Claim, ...], [_renamed(c) for c in payload["claims"]], "claims"),
        float(payload["seconds"]),
        tuple(file for file in files if (path.parent / file).exists()),
        payload["provenance"],
        command_for(name, payload["config"]),
    )


def _renamed(claim: dict[str, Any]) -> dict[str, Any]:
    """A claim with its verdict as it is called today."""
    return {**claim, "verdict": FORMER.get(claim["verdict"], claim["verdict"])}


def _owner(stem: str) -> str:
    """The experiment that a picture belongs to: the longest name that begins its stem."""
    return max((n for n in names() if stem == n or stem.startswith(f"{n}-")), key=len, default="")


def write_summary(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write ``summary.html`` and ``summary.md``: one row per claim, and every picture.

    Parameters
    ----------
    folder : path-like
        Where `odemom.reproduce.reproduce` has left its numbers.

    Returns
    -------
    dict
        ``html`` and ``md``.

    Raises
    ------
    InvalidInputError
        If there are no numbers of an experiment in the folder that can be read.
    """
    entries, unreadable = entries_in(folder)
    if not entries:
        why = "; ".join(unreadable.values())
        raise invalid(
            "out",
            got=f"{folder}, which holds no numbers of an experiment{f': {why}' if why else ''}",
            expected="a folder that odemom reproduce wrote to",
        )
    page, text = Path(folder) / "summary.html", Path(folder) / "summary.md"
    missing = [f"Not read: {why}" for why in unreadable.values()]
    write_all_atomic(
        {page: _html(entries, missing).encode(), text: _markdown(entries, missing).encode()}
    )
    return {"html": page, "md": text}


def counts_text(entries: list[Entry]) -> str:
    """How many claims there are, and how many of each verdict, in a sentence.

    Examples
    --------
    >>> counts_text([])
    '0 claims of 0 experiments: 0 hold, 0 do not hold, 0 were not judged.'
    """
    verdicts = [claim.verdict for entry in entries for claim in entry.claims]
    counts = ((verdicts.count(v), *verbs) for v, verbs in zip(MARKS, VERBS, strict=True))
    told = ", ".join(f"{n:,} {one if n == 1 else several}" for n, one, several in counts)
    experiments = counted(len(entries), "experiment")
    return f"{counted(len(verdicts), 'claim')} of {experiments}: {told}."


def _made(entry: Entry) -> str:
    versions = entry.provenance["versions"]
    named = ", ".join(f"{k} {v}" for k, v in versions.items() if k in ("odemom", "numpy", "torch"))
    machine = " and ".join([entry.provenance["cpu"], *(entry.provenance["gpu"] or ())])
    return f"{seconds_text(entry.seconds)} on {machine}; {named}"


def seconds_text(seconds: float) -> str:
    """A time in seconds, in digits.

    Examples
    --------
    >>> seconds_text(1.234), seconds_text(18446.2)
    ('1.23 s', '18,446 s')
    """
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _html(entries: list[Entry], missing: list[str]) -> str:
    rows = "".join(_row(entry, claim) for entry in entries for claim in entry.claims)
    sections = "".join(_section(entry) for entry in entries)
    notes = "".join(f"<p>{html.escape(note)}</p>\n" for note in missing)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>odemom: claims and verdicts</title>\n<style>{STYLE}</style>\n"
        f"<h1>Claims and verdicts</h1>\n<p>{counts_text(entries)} Places in the paper refer to "
        "Sander, Ablin, Blondel, Peyré, <i>Momentum Residual Neural Networks</i>, ICML 2021.</p>\n"
        "<table><thead><tr><th>claim</th><th>where</th><th>measured</th><th>experiment</th>"
        f"<th>verdict</th></tr></thead>\n<tbody>{rows}</tbody></table>\n{notes}{sections}</html>\n"
    )


def _row(entry: Entry, claim: Claim) -> str:
    cells = (claim.words, claim.where, claim.measured)
    name = html.escape(entry.name)
    return (
        "<tr>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + f'<td><a href="#{name}">{name}</a></td>'
        f'<td class="{CSS[claim.verdict]}">{MARKS[claim.verdict]} {claim.verdict}</td></tr>\n'
    )


def _section(entry: Entry) -> str:
    name, summary = html.escape(entry.name), html.escape(entry.summary)
    pictures = "".join(
        f'<p><a href="{p}"><img src="{p}" alt="{summary}" loading="lazy"></a></p>\n'
        for p in map(html.escape, entry.pictures)
    )
    return (
        f'<h2 id="{name}">{name}</h2>\n<p>{summary}.</p>\n{pictures}'
        f'<p><small>{html.escape(_made(entry))}. <a href="{name}.json">Numbers</a>; again by '
        f"<code>{html.escape(entry.command)}</code>.</small></p>\n"
    )


def _markdown(entries: list[Entry], missing: list[str]) -> str:
    lines = [
        "# Claims and verdicts",
        "",
        counts_text(entries),
        "",
        "| claim | where | measured | experiment | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for entry in entries:
        for c in entry.claims:
            cells = (c.words, c.where, c.measured, f"[{entry.name}](#{entry.name})", c.verdict)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += [line for note in missing for line in ("", note)]
    for entry in entries:
        lines += ["", f"## {entry.name}", "", f"{entry.summary}.", ""]
        lines += [f"![{entry.summary}]({picture})" for picture in entry.pictures]
        lines += [
            "",
            f"{_made(entry)}. `{entry.command}`; [numbers]({entry.name}.json).",
        ]
    return "\n".join(lines) + "\n"
