"""Draw the rooms of odemom and their imports, and write the table of rooms in docs/architecture.md.

Both are read from the code: the floors from tests/floors.py, which the tests hold the code to, the
imports from the syntax trees, and what a room knows from the first line of its docstring.

    python -m scripts.architecture
"""

from __future__ import annotations

import ast
import math
import random
import sys
from collections.abc import Iterator

from tests.floors import (
    EXACT,
    FLOORS,
    NEVER_LOADED,
    ROOT,
    STRANGERS,
    TORCH,
    all_imports,
    room_graph,
    rooms,
)

__all__ = ["main", "table"]

PAGE = ROOT.parent / "docs" / "architecture.md"
PICTURE = ROOT.parent / "docs" / "images" / "architecture.png"
BEGIN, END = "<!-- table of rooms: begin -->", "<!-- table of rooms: end -->"
COLORS = ("#e8eef7", "#f7efe2")
LINE = "#44546a"
SLOTS = (-3.2, -2.4, -1.6, -0.8, 0.0, 0.8, 1.6, 2.4, 3.2)
HALF_WIDTH = 4.45
BOX = (1.5, 0.54)
STEPS = 16000
# Names for sets of packages in the table.
TOGETHER = {"torch and what stands on it": TORCH, "exact arithmetic": EXACT}


def first_line(room: str) -> str:
    """The first line of a room's docstring."""
    package = ROOT / room / "__init__.py"
    path = package if package.exists() else ROOT / f"{room}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def present() -> list[list[str]]:
    """The floors, as far as they are built."""
    built = set(rooms())
    floors = [[room for room in floor if room in built] for floor in FLOORS]
    return [floor for floor in floors if floor]


def table() -> str:
    """One line a room: its floor, what it knows, what it imports, what it may not touch."""
    graph = room_graph(all_imports())
    lines = [
        "| floor | room | what it knows | imports today | may not touch |",
        "| --- | --- | --- | --- | --- |",
    ]
    for number, floor in reversed(list(enumerate(present(), 1))):
        for room in floor:
            used = ", ".join(other for other in rooms() if other in graph[room]) or "nothing"
            knows = first_line(room).replace("|", r"\|")
            closed = ", ".join(closed_to(room))
            lines.append(f"| {number} | `{room}` | {knows} | {used} | {closed} |")
    return "\n".join(lines)


def closed_to(room: str) -> list[str]:
    """The rooms of lower floors, and the packages, that a room may not touch."""
    packages = set(NEVER_LOADED.get(room, ()))
    names = [f"`{other}`" for other in rooms() if other in STRANGERS.get(room, ())]
    for name, members in TOGETHER.items():
        if members <= packages:
            names.append(name)
            packages -= members
    return [*names, *sorted(packages)]


def written(page: str) -> str:
    """The page with the table of today."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} has no lines {BEGIN} and {END} to write the table between.")
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


def arrows() -> list[tuple[str, str]]:
    """The imports between rooms, without those of what an imported room imports too."""
    graph = room_graph(all_imports())

    def beyond(room: str) -> set[str]:
        return graph[room].union(*(beyond(other) for other in graph[room]))

    kept = []
    for room in rooms():
        implied = set().union(*(beyond(other) for other in graph[room]))
        kept += [(room, other) for other in rooms() if other in graph[room] - implied]
    return kept


# --- the picture -------------------------------------------------------------------------------

Place = tuple[float, float]


def crossing(a: Place, b: Place, c: Place, d: Place) -> bool:
    """Whether the segments a b and c d cross, ends apart."""

    def side(p: Place, q: Place, r: Place) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < -1e-9 and side(c, d, a) * side(c, d, b) < -1e-9


def through(a: Place, b: Place, box: Place) -> bool:
    """Whether the segment a b, which is not level, touches a box or nearly so."""
    low, high = sorted((a, b), key=lambda place: place[1])
    bottom, top = (max(low[1], box[1] - BOX[1] / 2), min(high[1], box[1] + BOX[1] / 2))
    if bottom >= top:
        return False
    slope = (high[0] - low[0]) / (high[1] - low[1])
    ends = [low[0] + slope * (y - low[1]) - box[0] for y in (bottom, top)]
    reach = BOX[0] / 2 + 0.06
    return min(ends) < reach and max(ends) > -reach


def disorder(places: dict[str, Place], lines: list[tuple[str, str]]) -> float:
    """How hard a layout is to read: lines through boxes, lines that cross, long ways."""
    ends = [(places[a], places[b]) for a, b in lines]
    hidden = sum(
        through(places[a], places[b], place)
        for a, b in lines
        for room, place in places.items()
        if room not in (a, b)
    )
    crossed = sum(crossing(*ends[i], *ends[j]) for i in range(len(ends)) for j in range(i))
    return 30 * hidden + 6 * crossed + sum(abs(a[0] - b[0]) for a, b in ends)


def layout(lines: list[tuple[str, str]]) -> dict[str, Place]:
    """A place for each room: its floor, and a column found by simulated annealing."""
    rng = random.Random(0)
    floors = present()

    def placed(columns: list[list[float]]) -> dict[str, Place]:
        return {
            room: (columns[y][x], float(y))
            for y, floor in enumerate(floors)
            for x, room in enumerate(floor)
        }

    ways = [list(choices(len(floor))) for floor in floors]
    columns = [rng.choice(way) for way in ways]
    value = disorder(placed(columns), lines)
    best = value, columns
    for step in range(STEPS):
        warmth = 8.0 * (1 - step / STEPS) ** 2
        y = rng.randrange(len(floors))
        moved = [*columns[:y], rng.choice(ways[y]), *columns[y + 1 :]]
        now = disorder(placed(moved), lines)
        if now <= value or rng.random() < math.exp((value - now) / (warmth + 1e-9)):
            columns, value = moved, now
        if value < best[0]:
            best = value, columns
    return placed(best[1])


def choices(count: int) -> Iterator[list[float]]:
    """The ways to put that many boxes side by side."""
    if count == 1:
        yield from ([slot] for slot in SLOTS)
        return
    for first in SLOTS:
        for rest in choices(count - 1):
            if all(abs(first - other) > BOX[0] for other in rest):
                yield [first, *rest]


def edge(box: Place, towards: Place) -> Place:
    """Where the way from the middle of a box to another point leaves the box."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    part = min(size / 2 / abs(way) for size, way in zip(BOX, (dx, dy), strict=True) if way)
    return box[0] + part * dx, box[1] + part * dy


def draw() -> None:
    """Write the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

    lines = arrows()
    places = layout(lines)
    top = len(present())
    figure, axes = plt.subplots(figsize=(7, 0.5 * top), dpi=150)
    for y in range(top):
        band = Rectangle(
            (-HALF_WIDTH, y - 0.5), 2 * HALF_WIDTH, 1, facecolor=COLORS[y % 2], edgecolor="none"
        )
        axes.add_patch(band)
        axes.text(0.1 - HALF_WIDTH, y, str(y + 1), va="center", fontsize=10, color=LINE)
    for room, (x, y) in places.items():
        width, height = BOX
        corner = (x - width / 2, y - height / 2)
        style = "round,pad=0,rounding_size=0.1"
        box = FancyBboxPatch(corner, width, height, style, fc="white", ec=LINE, lw=1.2, zorder=3)
        axes.add_patch(box)
        axes.text(x, y, room, ha="center", va="center", fontsize=9.5, zorder=4)
    for room, other in lines:
        ends = edge(places[room], places[other]), edge(places[other], places[room])
        shape = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
        arrow = FancyArrowPatch(*ends, **shape, color=LINE, lw=1.1, zorder=2)
        axes.add_patch(arrow)
    axes.set_xlim(-HALF_WIDTH, HALF_WIDTH)
    axes.set_ylim(-0.5, top - 0.5)
    axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Write both."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw()
    print(f"{PAGE}\n{PICTURE}", file=sys.stderr)


if __name__ == "__main__":
    main()
