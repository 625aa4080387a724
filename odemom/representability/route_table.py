"""The table of `odemom.routes`: its rows, and its forms as text, HTML and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

from odemom.checks import invalid, shown
from odemom.errors import OdemomError
from odemom.flows.condition import frobenius
from odemom.representability.report import Representability

__all__ = ["Route", "Routes"]


@dataclass(frozen=True)
class Route:
    """One way to reach D.

    Attributes
    ----------
    name : str
    reaches : bool
        Whether it reaches D itself; "smaller scale" and "nearest map" reach another matrix.
    what : str
        Which eps, which scale, how many coordinates, ...; or why it does not reach D.
    parameters : int
        How many numbers theta has in all.
    evaluations : str
        How many evaluations of theta it takes, compared with one constant theta.
    how : str
        A Python expression for the witness.
    """

    name: str
    reaches: bool
    what: str
    parameters: int
    evaluations: str
    how: str
    _find: Callable[[], Any] | None = field(default=None, repr=False, compare=False)

    def witness(self) -> Any:
        """What ``how`` gives: a theta, a `Pieces`, an `Augmentation` or a `Nearest`.

        Raises
        ------
        InvalidInputError
            If this way does not lead to D.
        IllConditionedError
            As of `odemom.represent`.
        """
        if self._find is None:
            raise invalid("route", got=self.name, expected="one that reaches D", fix=self.what)
        return self._found

    @cached_property
    def _found(self) -> Any:
        assert self._find is not None  # or `witness` has refused
        return self._find()

    @cached_property
    def norm(self) -> float | None:
        """The largest Frobenius norm of its thetas; None without one, or if doubles hold none."""
        if self._find is None or self.name == "nearest map":
            return None
        try:
            found = self.witness()
        except OdemomError:
            return None
        if hasattr(found, "norm"):
            return float(found.norm)
        return frobenius(getattr(found, "theta", found))

    @cached_property
    def distance(self) -> float | None:
        """||matrix - D||_2 of the matrix it reaches, 0 but for "nearest map"; None as of `norm`."""
        if self.name != "nearest map":
            return 0.0
        try:
            return float(self.witness().distance)
        except OdemomError:
            return None


@dataclass(frozen=True)
class Routes:
    """The ways to one matrix, the cheapest first: iterate, or ask for one by its name.

    Attributes
    ----------
    report : Representability
        The decision for one constant theta.
    rows : tuple of Route
    norms : bool
        Whether norms and distances are in the table; otherwise they are computed when asked for.
    """

    report: Representability
    rows: tuple[Route, ...]
    norms: bool

    def __iter__(self) -> Iterator[Route]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Route:
        for row in self.rows:
            if row.name == name:
                return row
        raise invalid("name", got=shown(name), expected=", ".join(row.name for row in self.rows))

    def _table(self) -> list[tuple[str, ...]]:
        heads = ("route", "reaches D", "what", "norm of theta", "numbers", "evaluations", "witness")
        rows = [
            (
                row.name,
                "yes" if row.reaches else "no",
                row.what + self._distance(row),
                self._norm(row),
                str(row.parameters),
                row.evaluations,
                row.how,
            )
            for row in self.rows
        ]
        return [heads, *rows]

    def _norm(self, row: Route) -> str:
        size = row.norm if self.norms else None
        return "" if size is None else f"{size:.4g}"

    def _distance(self, row: Route) -> str:
        if not (self.norms and row.name == "nearest map") or row.distance is None:
            return ""
        return f", at distance {row.distance:.4g}"

    def __str__(self) -> str:
        rows = self._table()
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        """For notebooks: the table."""
        heads, *rows = self._table()
        top = "".join(f"<th>{escape(head)}</th>" for head in heads)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        return f"<table><tr>{top}</tr>{body}</table>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: ``report`` and ``routes``; norms are null where not computed."""
        return {
            "report": self.report.to_dict(),
            "routes": [
                {
                    "name": row.name,
                    "reaches": row.reaches,
                    "what": row.what,
                    "norm": row.norm if self.norms else None,
                    "distance": row.distance if self.norms and row.how else None,
                    "parameters": row.parameters,
                    "evaluations": row.evaluations,
                    "how": row.how,
                }
                for row in self.rows
            ],
        }
