"""Table 1 of the paper, drawn from its checks: ticks, crosses, and the figures behind them."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from odemom.experiments.table1 import PAPER, Row, Table1
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

HEADS = (
    "closed-form\ninverse",
    "a ResNet's\nparameters",
    "training\nunconstrained",
    "fixed points\ncan attract",
    "keeps\nnothing",
)
LEFT, FIRST, STEP, DEPTHS = 0.0, 2.15, 1.3, 0.85
LOSS = LinearSegmentedColormap.from_list("loss", ["#FFFFFF", "#F7D9C4", COLORS["vermilion"]])
BITS = 24


def draw(data: Table1) -> Figure:
    """One row per architecture; the paper's three columns, then those beyond it.

    Parameters
    ----------
    data : Table1

    Returns
    -------
    matplotlib.figure.Figure
        8.4 inches wide.

    Examples
    --------
    >>> from odemom.experiments.table1 import Checks, Row, Table1
    >>> checks = Checks("RevNet", 0, 1e-16, 1.0, 0.5, False, 1e-16, 1e-16, (1.0,), 0.0, 0.0, 1.0)
    >>> len(draw(Table1((10,), 1, (Row("RevNet", (checks,)),))).axes)
    1
    """
    rows = len(data.rows)
    start = FIRST + STEP * len(HEADS)
    width = start + DEPTHS * len(data.depths)
    with shared_style():
        figure = new_figure(8.4, 0.5 * rows + 1.2)
        axes = figure.subplots()
        axes.set(xlim=(LEFT, width), ylim=(rows - 0.1, -1.75))
        axes.axis("off")
        _draw_heads(axes, data, start)
        for y, row in enumerate(data.rows):
            weight = "bold" if row.name == "Momentum ResNet" else "normal"
            axes.text(LEFT + 0.05, y, row.name, va="center", fontsize=10, fontweight=weight)
            for column, (tick, text) in enumerate(_cells(row)):
                _draw_cell(axes, FIRST + STEP * (column + 0.5), y, tick, text)
            for k, bits in enumerate(row.values("lost").mean(axis=0)):
                _draw_loss(axes, start + DEPTHS * k, y, bits)
        newer = sum(row.name in PAPER for row in data.rows)
        if newer < rows:
            axes.axhline(newer - 0.5, color=COLORS["grey"], linewidth=0.6, linestyle=":")
        axes.text(
            width,
            rows - 0.35,
            "γ = 0.9 for the Momentum ResNet. In integers, with these bits kept per element and "
            f"layer, none are lost at depth {data.depths[-1]:,}.",
            ha="right",
            va="top",
            fontsize=7,
            color="#555555",
        )
    return figure


def _cells(row: Row) -> list[tuple[bool, str]]:
    evaluations, error = float(row.values("evaluations").mean()), row.values("error").max()
    if row.closed_form:
        inverse = "1 call per f"
    else:
        inverse = f"error {error:.0e}" if evaluations < 2 else f"{evaluations:.0f} calls per f"
    worst = max(row.values(f"error_{where}").max() for where in ("within", "beyond"))
    kept = row.kept
    bits = "no exact inverse" if kept is None else f"{kept:.2g} bit per layer"
    return [
        (row.closed_form, inverse),
        (row.same_parameters, f"{row.values('weights').mean():.2g} × the weights"),
        (row.unconstrained, f"error {worst:.0e}"),
        (row.attracting, f"radius {row.values('radius').min():.3f}"),
        (kept == 0, bits),
    ]


def _draw_heads(axes: Axes, data: Table1, start: float) -> None:
    for column, text in enumerate(HEADS):
        x = FIRST + STEP * (column + 0.5)
        axes.text(x, -0.62, text, ha="center", va="bottom", fontsize=8.5)
    width = DEPTHS * len(data.depths)
    axes.text(start + width / 2, -1.12, f"bits of {BITS} lost in floats", ha="center", fontsize=8.5)
    for k, depth in enumerate(data.depths):
        label = f"depth {depth}" if k == 0 else f"{depth:,}"
        axes.text(start + DEPTHS * (k + 0.5), -0.62, label, ha="center", va="bottom", fontsize=8.5)
    axes.plot([LEFT, start + width], [-0.5, -0.5], color="black", linewidth=0.8)
    for first, last, text in ((0, 3, "Table 1 of the paper"), (3, len(HEADS), "beyond it")):
        left, right = FIRST + STEP * first + 0.1, FIRST + STEP * last - 0.1
        right = start + width if last == len(HEADS) else right
        axes.plot([left, right], [-1.38, -1.38], color=COLORS["grey"], linewidth=0.6)
        axes.text((left + right) / 2, -1.43, text, ha="center", fontsize=8, color=COLORS["grey"])


def _draw_cell(axes: Axes, x: float, y: float, tick: bool, text: str) -> None:
    color = COLORS["blue"] if tick else COLORS["vermilion"]
    mark = "✓" if tick else "✗"
    axes.text(x, y - 0.1, mark, ha="center", va="center", fontsize=14, color=color)
    axes.text(x, y + 0.3, text, ha="center", va="center", fontsize=6.5, color="#555555")


def _draw_loss(axes: Axes, x: float, y: float, bits: float) -> None:
    axes.add_patch(
        Rectangle((x, y - 0.5), DEPTHS, 1, facecolor=LOSS(bits / BITS), edgecolor="white", lw=1.5)
    )
    text = "all" if bits > BITS - 0.05 else f"{bits:.1f}"
    color = "white" if bits > 0.7 * BITS else "black"
    axes.text(x + DEPTHS / 2, y, text, ha="center", va="center", fontsize=9, color=color)
