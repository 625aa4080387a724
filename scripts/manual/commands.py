"""The commands of ``odemom`` with their options, read from the command line itself."""

from __future__ import annotations

from typing import Any

import typer.main

from odemom.cli import app
from scripts.manual.markdown import literal, table

__all__ = ["command_page"]


def command_page() -> dict[str, str]:
    """The page, by its path in docs/."""
    group: Any = typer.main.get_command(app)  # a click group; typer brings a click of its own
    sections = "\n\n".join(_section(name, c) for name, c in sorted(group.commands.items()))
    return {"made/commands.md": sections + "\n"}


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    names = [(a.metavar or a.name).upper() for a in arguments]
    usage = " ".join(["odemom", name, *names, "[OPTIONS]"])
    rows = [[_names(p), literal(_one_line(p.help)), _default(p)] for p in options]
    parts = [f"## odemom {name}", f"```text\n{usage}\n```", literal(_one_line(command.help))]
    return "\n\n".join([*parts, table(["option", "meaning", "default"], rows)] if rows else parts)


def _names(option: Any) -> str:
    return f"`{'/'.join([', '.join(option.opts), *option.secondary_opts])}`"


def _default(option: Any) -> str:
    """What is taken where the command line itself knows it; most are of other options, or none."""
    none = option.default is None or option.default is False
    return "" if none else f"`{option.default}`"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
