"""The floors of the house: which room may import which, and what a room never loads.

`FLOORS` is the one list that tests/test_floors.py holds the code to and that
scripts/architecture.py draws. A room is a package or a module directly in odemom/.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "odemom"

# From the ground up. A room may import itself and the rooms of lower floors; rooms of one floor do
# not know each other.
FLOORS = (
    ("errors",),
    ("checks",),
    ("records",),
    ("matrix_files",),
    ("propagator",),
    ("flows",),
    ("representability", "stability", "nn"),
    ("data", "models"),
    ("training",),
    ("sweep",),
    ("experiments",),
    ("plots",),
    ("reproduce",),
    ("explore", "demo", "doctor"),
    ("cli",),
    ("__main__",),
)
# Rooms of lower floors that a room may not know all the same: networks need psi, and no flow.
STRANGERS = {"nn": {"flows", "matrix_files"}, "propagator": {"records", "matrix_files"}}
TORCH = {"torch", "torchdiffeq", "lightning", "torchvision"}
EXACT = {"flint", "sympy"}
# Packages that no import statement of a room may name, at any depth.
NEVER_LOADED = {
    "errors": {*TORCH, *EXACT, "matplotlib", "numpy", "scipy", "mpmath"},
    "checks": {*TORCH, "matplotlib"},
    "records": {*TORCH, *EXACT, "matplotlib"},
    "matrix_files": {*TORCH, "matplotlib"},
    "propagator": {*TORCH, *EXACT, "matplotlib"},
    "flows": {*TORCH, "sympy", "matplotlib"},
    "representability": {*TORCH, "matplotlib"},
    "stability": {*TORCH, *EXACT, "matplotlib"},
    "nn": {*EXACT, "matplotlib"},
    "data": {*EXACT, "matplotlib"},
    "models": {*EXACT, "matplotlib"},
    "training": {*EXACT, "matplotlib"},
    "sweep": {*TORCH, *EXACT, "matplotlib"},
    "experiments": {*EXACT, "matplotlib"},
    "plots": {*TORCH, *EXACT},
    "reproduce": {*TORCH, *EXACT, "matplotlib"},
    "demo": {*TORCH, *EXACT, "matplotlib"},
    "doctor": {*TORCH, *EXACT, "matplotlib", "numpy", "scipy", "mpmath"},
    "explore": {*TORCH, *EXACT, "matplotlib"},
    "cli": {*TORCH, *EXACT, "matplotlib"},
}


HOLDERS = (ast.stmt, ast.ExceptHandler, ast.match_case)
"""The nodes of a syntax tree in which statements are."""


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = ("odemom", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The room of a dotted name; None of odemom itself, its attributes and other packages."""
    parts = module.split(".")
    if parts[0] != "odemom" or len(parts) == 1:
        return None
    is_room = (ROOT / parts[1]).is_dir() or (ROOT / f"{parts[1]}.py").exists()
    return parts[1] if is_room else None


def imports_of(source: str, module: str, is_package: bool) -> set[str]:
    """Every module named by an import statement, at any depth, except for type checkers only."""
    found = set()
    pending = list(ast.iter_child_nodes(ast.parse(source)))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")[: None if is_package else -1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, base]) if base else ".".join(package)
            found.update(f"{base}.{alias.name}" for alias in node.names)
        else:
            pending.extend(c for c in ast.iter_child_nodes(node) if isinstance(c, HOLDERS))
    return found


def all_imports() -> dict[str, set[str]]:
    """The imports of every module of the package."""
    return {
        module_name(path): imports_of(
            path.read_text(encoding="utf-8"), module_name(path), path.name == "__init__.py"
        )
        for path in sorted(ROOT.rglob("*.py"))
    }


def rooms() -> list[str]:
    """The rooms that are there, from the ground up."""
    return [room for floor in FLOORS for room in floor if room_of(f"odemom.{room}")]


def room_graph(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The rooms that each room imports."""
    graph: dict[str, set[str]] = {room: set() for room in rooms()}
    for module, names in imports.items():
        room = room_of(module)
        if room is not None:
            others = {room_of(name) for name in names} - {room, None}
            graph.setdefault(room, set()).update(other for other in others if other)
    return graph


def allowed(room: str) -> set[str]:
    """The rooms that a room may import."""
    below: set[str] = set()
    for floor in FLOORS:
        if room in floor:
            return below - STRANGERS.get(room, set())
        below |= set(floor)
    raise AssertionError(f"{room} has no floor: give it one in FLOORS")


def offences(imports: dict[str, set[str]]) -> Iterator[str]:
    """A sentence for each import that goes the wrong way, or names what is never loaded."""
    for module, names in sorted(imports.items()):
        room = room_of(module)
        if room is None:
            continue
        for name in sorted(names):
            other = room_of(name)
            if other not in {None, room} and other not in allowed(room):
                yield f"{module} imports {name}"
            if name.partition(".")[0] in NEVER_LOADED.get(room, set()):
                yield f"{module} imports {name}, which {room} never loads"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Rooms that import each other in a circle, or none."""
    done: set[str] = set()

    def from_room(room: str, path: list[str]) -> list[str]:
        if room in path:
            return path[path.index(room) :]
        if room in done:
            return []
        for other in sorted(graph.get(room, ())):
            found = from_room(other, [*path, room])
            if found:
                return found
        done.add(room)
        return []

    return next((found for room in sorted(graph) if (found := from_room(room, []))), [])


def long_files(paths: Iterable[Path], most: int = 400) -> list[str]:
    """The files of more lines than that."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return [f"{path}: {size} lines" for path, size in sizes.items() if size > most]
