"""The gallery: a page for each experiment whose numbers lie in docs/results, and one of cards.

Numbers of the same experiment on other data, or with other settings, lie in a folder there that is
named after these, and are a section of its page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from odemom.checks import counted
from odemom.reproduce.summary import Entry, counts_text, entries_in, seconds_text
from scripts.manual.markdown import literal, table

__all__ = ["gallery_pages"]

BADGES = {"holds": "success", "does not hold": "danger", "not judged": "secondary"}
CORE = {"python", "odemom", "numpy", "scipy", "torch", "torchdiffeq", "lightning"}


def gallery_pages(folder: Path) -> dict[str, str]:
    """The pages, by their paths in docs/.

    Parameters
    ----------
    folder : Path
        Where `odemom.reproduce` left its numbers and pictures.

    Raises
    ------
    ValueError
        If numbers there cannot be read, or some on other data have none to stand beside: the
        gallery would lack a result in silence.
    """
    entries = _readable(folder)
    pages = {f"gallery/{entry.name}.md": _page(entry, folder) for entry in entries}
    for other in sorted(path for path in folder.iterdir() if path.is_dir()):
        for entry in _readable(other):
            if f"gallery/{entry.name}.md" not in pages:
                raise ValueError(f"{other.name}/{entry.name}.json: no {entry.name}.json above it")
            pages[f"gallery/{entry.name}.md"] += _section(entry, folder, other)
    return {"gallery/index.md": _index(entries), "made/failed-claims.md": _failed(entries), **pages}


def _readable(folder: Path) -> list[Entry]:
    entries, unreadable = entries_in(folder)
    if unreadable:
        raise ValueError("; ".join(unreadable.values()))
    return entries


def _failed(entries: list[Entry]) -> str:
    """The claims that do not hold, with what was measured: of the paper, of others, beyond."""
    groups: dict[str, list[str]] = {
        "Of the paper": [], "Of other papers": [], "Expected beyond it": [],
    }  # fmt: skip
    for entry in entries:
        for claim in entry.claims:
            if claim.verdict != "does not hold":
                continue
            groups[_origin(claim.where)].append(
                f"- [{entry.name}](gallery/{entry.name}.md): {literal(claim.words)} "
                f"(*{literal(claim.where)}*). Measured: {literal(claim.measured)}."
            )
    return "\n\n".join(f"**{name}**\n\n" + "\n".join(rows) for name, rows in groups.items() if rows)


def _origin(where: str) -> str:
    if where.startswith(("Section ", "Figure ", "Table ", "Proposition ", "Theorem ")):
        return "Of the paper"
    return "Expected beyond it" if where.startswith("beyond") else "Of other papers"


def _index(entries: list[Entry]) -> str:
    cards = "\n".join(_card(entry) for entry in entries)
    names = "\n".join(f"{entry.name} <{entry.name}>" for entry in entries)
    return f"""# Results

Every figure and every claim is an experiment that anybody can run again with
`odemom reproduce NAME`: numbers, pictures drawn from them, and claims with what was measured and a
verdict. The pages here are made from those numbers when the manual is built.

{counts_text(entries)}

::::{{grid}} 1 2 2 3
:gutter: 3

{cards}
::::

```{{toctree}}
:hidden:

all claims in one table <../results/summary>
{names}
```
"""


def _card(entry: Entry) -> str:
    return f""":::{{grid-item-card}} {entry.name}
:link: {entry.name}
:link-type: doc
:img-top: ../results/{entry.pictures[-1] if len(entry.pictures) == 1 else _still(entry)}
:img-alt: {entry.summary}

{literal(entry.summary)}.

{_badges(entry)}
:::
"""


def _still(entry: Entry) -> str:
    """The main picture that does not move."""
    return next(picture for picture in entry.pictures if picture.endswith(".png"))


def _badges(entry: Entry) -> str:
    verdicts = [claim.verdict for claim in entry.claims]
    shown = [(v, verdicts.count(v)) for v in BADGES if v in verdicts]
    return " ".join(f"{{bdg-{BADGES[v]}}}`{count} {v}`" for v, count in shown)


def _page(entry: Entry, folder: Path) -> str:
    return f"""# {entry.name}

{literal(entry.summary)}.

{_shown(entry, folder, "", "##")}"""


def _section(entry: Entry, folder: Path, other: Path) -> str:
    """The same experiment on other data, or with other settings."""
    first, second = _config(entry, folder), _config(entry, other)
    heading = f"On {other.name}"
    if first.get("data") == second.get("data"):
        changed = [key for key in second if second[key] != first.get(key)]
        heading = "With " + ", ".join(f"{key} = {_value(second[key])}" for key in changed)
    return f"""
## {heading}

{_shown(entry, other, f"{other.name}/", "###")}"""


def _config(entry: Entry, folder: Path) -> dict[str, Any]:
    payload = json.loads((folder / f"{entry.name}.json").read_text(encoding="utf-8"))
    return payload["config"]


def _shown(entry: Entry, folder: Path, where: str, level: str) -> str:
    payload = json.loads((folder / f"{entry.name}.json").read_text(encoding="utf-8"))
    pictures = "\n\n".join(
        f"![{literal(entry.summary)}](../results/{where}{p})" for p in entry.pictures
    )
    claims = "\n".join(
        f""":::{{card}}
**{literal(claim.words)}**

{literal(claim.measured)}

{{bdg-{BADGES[claim.verdict]}}}`{claim.verdict}` {literal(claim.where)}
:::
"""
        for claim in entry.claims
    )
    settings = table(
        ["field", "value"],
        ([f"`{key}`", literal(_value(value))] for key, value in payload["config"].items()),
    )
    module = entry.name.replace("-", "_")
    return f"""{pictures}

{level} Claims

{claims}

{level} How it was made

`{entry.command}` computes it again; what the pictures show are these
{{download}}`numbers <../results/{where}{entry.name}.json>`. The code is
`odemom/experiments/{module}.py`, the drawing `odemom/plots/{module}.py`.

{settings}

{_made(entry)}
"""


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value) or "(none)"


def _made(entry: Entry) -> str:
    made = entry.provenance
    versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items() if k in CORE)
    devices = " and ".join([made["cpu"], *(made["gpu"] or ())])
    return (
        f"{seconds_text(entry.seconds)} of tasks on {literal(devices)} "
        f"({counted(made['cpu_count'], 'core')}), {made['date'][:10]}; {versions}."
    )
