"""Which rows a twin's latest call formed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from odemom.checks import expect
from odemom.nn.transform.functions import FunctionRow
from odemom.nn.transform.places import Place, place_of

__all__ = ["RowOfBlocks", "TwinReport", "twin_report"]

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
    start : str
        Why it did not go on with the row of the block before it in the list; empty where that
        block was in none.
    """

    container: str
    blocks: tuple[str, ...]
    layers: int
    shape: tuple[int, ...]
    mode: str
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
            lines.append(f"  {names}: {count}{shape}, {row.mode}{why}")
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
    >>> twin = transform(torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False))
    >>> _ = twin(torch.zeros(2, 5, 8))
    >>> print(twin_report(twin))
    1 row of 3 momentum layers, 100% of the parameters, 100% of the states
      layers.0 to layers.2: 3 layers of shape 2 x 5 x 8, checkpoint
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
        rows.append(RowOfBlocks(name, names, count, (), mode))
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
        rows.append(RowOfBlocks(container, names, row.length, row.shape, row.mode, start))
    return rows, alone
