"""Which rows a twin's latest call formed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import nn

from odemom.checks import expect
from odemom.nn.transform.functions import FunctionRow
from odemom.nn.transform.places import Place, place_of

__all__ = ["RowOfBlocks", "TwinReport", "twin_report", "weights_of_functions"]

NOT_SEEN = "it was not called, or in compiled code alone, which notes nothing"


@dataclass(frozen=True)
class RowOfBlocks:
    """Blocks that ran as one momentum network.

    Attributes
    ----------
    container : str
        The name of their list.
    blocks : tuple of str
        Their names; a block that was called again counts in ``layers`` alone.
    layers : int
    shape : tuple of int
        Of the state.
    mode : str
        "exact", "checkpoint" or "plain".
    weights : tuple of float
        How often the function f of each layer counts in x at the end of the row: the end is
        x_0 + sum of weights times f(x_n). From v0 = 0 that of the last is 1 - gamma, and none is
        above 1.
    start : str
        Why it did not go on with the row of the block before it in the list; empty where that
        block was in none.
    """

    container: str
    blocks: tuple[str, ...]
    layers: int
    shape: tuple[int, ...]
    mode: str
    weights: tuple[float, ...]
    start: str = ""


@dataclass(frozen=True)
class TwinReport:
    """The rows of a momentum twin, as its latest call formed them.

    Attributes
    ----------
    rows : tuple of RowOfBlocks
    alone : dict of str to str
        Blocks that are in no row with another one, and why.
    parameters : float
        Share of the model's parameters that are in rows.
    activations : float
        Share of the entries of all states between blocks that are in rows.
    """

    rows: tuple[RowOfBlocks, ...]
    alone: dict[str, str]
    parameters: float
    activations: float

    def __str__(self) -> str:
        count, layers = len(self.rows), sum(row.layers for row in self.rows)
        lines = [
            f"{count} {'row' if count == 1 else 'rows'} of {layers} momentum layers, "
            f"{self.parameters:.0%} of the parameters, {self.activations:.0%} of the states"
        ]
        for row in self.rows:
            first, last = row.blocks[0], row.blocks[-1]
            names = first if first == last else f"{first} to {last}"
            shape = f" of shape {' x '.join(map(str, row.shape))}" if row.shape else ""
            why = f"; begun anew, since {row.start}" if row.start else ""
            count = f"{row.layers} layer{'' if row.layers == 1 else 's'}"
            lines.append(f"  {names}: {count}{shape}, {row.mode}{_counting(row)}{why}")
        lines += [f"  {name} alone: {why}" for name, why in self.alone.items()]
        return "\n".join(lines)


def twin_report(model: nn.Module) -> TwinReport:
    """Which blocks of a twin ran as one momentum network in its latest call, and which did not.

    Parameters
    ----------
    model : Module
        What `transform` returned, or a model that holds it.

    Returns
    -------
    TwinReport
        Its ``str`` is a table.

    Raises
    ------
    InvalidInputError
        If no part of the model came from `transform`.

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import transform, twin_report
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> twin = transform(torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), 0.5)
    >>> _ = twin(torch.zeros(2, 5, 8))
    >>> print(twin_report(twin))
    1 row of 3 momentum layers, 100% of the parameters, 100% of the states
      layers.0 to layers.2: 3 layers of shape 2 x 5 x 8, checkpoint, f counts 0.88 to 0.5 times
    """
    modules = dict(model.named_modules())
    places = {path: (m, p) for path, m in modules.items() if (p := place_of(m)) is not None}
    lists = {path: m for path, m in modules.items() if isinstance(m, FunctionRow)}
    expect(
        len(places) + len(lists) > 0,
        "model",
        got=f"a {type(model).__name__} without momentum rows",
        expected="what transform(model) returned",
    )
    rows, alone = _of_places({path: place for path, (_, place) in places.items()})
    for name, functions in lists.items():
        count = len(functions._modules)
        names = tuple(f"{name}.{n}" if name else n for n in functions._modules)
        mode = "exact" if functions.__dict__["added"].net.reversible else "plain"
        weights = weights_of_functions(functions.__dict__["added"].net.gamma, count)
        rows.append(RowOfBlocks(name, names, count, (), mode, weights))
    inside = {name for row in rows for name in row.blocks}
    joined = [m for path, (m, _) in places.items() if path in inside] + [*lists.values()]
    own = {id(p): p.numel() for m in joined for p in m.parameters()}
    every = sum(p.numel() for p in model.parameters())
    states = sum(place.entries for _, place in places.values())
    moved = sum(place.entries for path, (_, place) in places.items() if path in inside)
    return TwinReport(
        tuple(rows),
        alone,
        sum(own.values()) / every if every else 0.0,
        moved / states if states else float(bool(lists)),
    )


def weights_of_functions(
    gamma: Fraction | float, layers: int, *, field: bool = False
) -> tuple[float, ...]:
    """How often f of each of the layers counts in x after the last one.

    Parameters
    ----------
    gamma : Fraction or float
    layers : int
    field : bool, default False
        Whether v0 = f(x0) rather than 0.

    Returns
    -------
    tuple of float
        1 - gamma^(N - n) for the layer n of N; 1 + gamma + ... + gamma^(N - 1) for the first one
        from v0 = f(x0).

    Examples
    --------
    >>> weights_of_functions(0.5, 2), weights_of_functions(0.5, 2, field=True)
    ((0.75, 0.5), (1.5, 0.5))
    """
    g = float(gamma)
    weights = [1 - g ** (layers - n) for n in range(layers)]
    if field:
        weights[0] = sum(g**n for n in range(layers))
    return tuple(weights)


def _of_places(places: dict[str, Place]) -> tuple[list[RowOfBlocks], dict[str, str]]:
    """The rows and the blocks alone, of the places of blocks by their names in a model."""
    members: dict[int, list[tuple[str, Place]]] = {}
    alone: dict[str, str] = {}
    for path, place in places.items():
        if place.row is None:
            alone[path] = place.start or NOT_SEEN
        else:
            members.setdefault(id(place.row), []).append((path, place))
    rows: list[RowOfBlocks] = []
    in_rows = {(id(p.container), p.index) for group in members.values() for _, p in group}
    for group in members.values():
        path, place = group[0]
        row = place.row
        assert row is not None
        # A model that holds the twin has a name for it, which stands in front.
        inside = path.endswith(f".{place.name}")
        container = path.removesuffix(place.name) + row.container if inside else row.container
        names = tuple(name for name, _ in group)
        before = (id(place.container), place.index - 1)
        start = place.start if before in in_rows else ""
        shared = place.container
        weights = weights_of_functions(shared.gamma, row.length, field=shared.field)
        rows.append(RowOfBlocks(container, names, row.length, row.shape, row.mode, weights, start))
    return rows, alone


def _counting(row: RowOfBlocks) -> str:
    """How often the functions of a row count, for a sentence; nothing where it is once."""
    first, last = row.weights[0], row.weights[-1]
    if first == last == 1:
        return ""
    if row.layers == 1:
        return f", f counts {first:.2g} times"
    return f", f counts {first:.2g} to {last:.2g} times"
