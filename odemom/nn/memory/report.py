"""What is said of a training step's memory, and the largest batch that fits one's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from odemom.checks import as_integer, as_positive, expect, readable

__all__ = ["StepMemory", "TrainingMemory", "envelope"]

Line = tuple[float, float]
"""Bytes a + c b of a batch of b samples, as (a, c)."""

SMALL = 0.005
"""Share of the whole below which a part has no line of its own."""


def envelope(
    batches: tuple[int, int], first: Sequence[int], second: Sequence[int]
) -> tuple[Line, ...]:
    """The lines of which the largest is the fullest moment of a step, for every batch.

    Each moment of a step holds tensors that grow with the batch and others that do not, so it is
    affine in the batch, and two steps give it. Where they did not make the same tensors, their
    fullest moments alone are compared.

    Parameters
    ----------
    batches : (int, int)
        Of the two steps, ascending.
    first, second : sequence of int
        Bytes moment by moment.

    Examples
    --------
    >>> envelope((1, 2), [100, 10, 60], [100, 20, 120])
    ((100.0, 0.0), (0.0, 60.0))
    """
    if len(first) != len(second):
        first, second = [max(first, default=0)], [max(second, default=0)]
    (one, two), lines = batches, []
    for a, b in zip(first, second, strict=True):
        slope = (b - a) / (two - one)
        lines.append((a - slope * one, slope))
    upper: list[Line] = []
    for fixed, slope in sorted(set(lines), key=lambda line: (line[1], line[0])):
        while upper and (upper[-1][1] == slope or _is_below(upper, fixed, slope)):
            upper.pop()
        upper.append((fixed, slope))
    return tuple(upper)


def _is_below(upper: list[Line], fixed: float, slope: float) -> bool:
    """Whether the last line is nowhere above the one before it and the new one, for b >= 0."""
    a, c = upper[-1]
    met = (a - fixed) / (slope - c)  # the new line is above from there on
    if met <= 0:
        return True
    if len(upper) == 1:
        return False
    b, d = upper[-2]
    return met <= (b - a) / (c - d)


@dataclass(frozen=True)
class StepMemory:
    """The memory of one network's training step at its fullest moment.

    Attributes
    ----------
    batch : int
    peak : int
        Bytes beside the model, its gradients and the batch itself.
    parts : dict of str to int
        Where they are: in which rows and modules they were made, or in the backward pass.
    held : int
        Bytes of parameters, their gradients, and buffers.
    parameters : int
        Bytes of parameters that require a gradient.
    bytes_a_sample : float
        Of the batch.
    lines : tuple of (float, float)
        For b samples the peak is the largest of a + c b; see `envelope`.
    measured : str
        Why a step was run; empty if shapes alone told all.
    one_batch : str
        Why nothing is known of other batches; empty if it is.
    """

    batch: int
    peak: int
    parts: dict[str, int]
    held: int
    parameters: int
    bytes_a_sample: float
    lines: tuple[Line, ...]
    measured: str = ""
    one_batch: str = ""

    def at(self, batch: int) -> int:
        """The peak of another batch.

        Raises
        ------
        InvalidInputError
            If nothing is known of other batches.
        """
        batch = as_integer(batch, "batch", 0)
        if batch == self.batch:
            return self.peak
        expect(
            not self.one_batch,
            "batch",
            got=f"{batch}, where memory is known for {self.batch} alone: {self.one_batch}",
            expected=f"{self.batch}",
            fix="Call memory_report with that batch.",
        )
        return round(max((a + c * batch for a, c in self.lines), default=0.0))

    def total(self, batch: int, *, optimizer: int = 0) -> int:
        """All bytes of a step: model, gradients, optimizer, batch and peak.

        Parameters
        ----------
        batch : int
        optimizer : int
            Numbers that it keeps a parameter: 0 for SGD, 1 with momentum, 2 for Adam.
        """
        optimizer = as_integer(optimizer, "optimizer", 0)
        own = self.held + optimizer * self.parameters
        return own + math.ceil(batch * self.bytes_a_sample) + self.at(batch)

    def further_sample(self) -> str:
        """What one more sample takes, in words; "unknown" where other batches are."""
        if self.one_batch:
            return "unknown"
        return readable(self.total(self.batch + 1) - self.total(self.batch))

    def largest_batch(self, memory: float, *, optimizer: int = 0) -> int:
        """The largest batch whose step fits; 0 if none does.

        Parameters
        ----------
        memory : float
            Bytes.
        optimizer : int
            As for `total`.

        Raises
        ------
        InvalidInputError
            If memory is no positive number, or nothing is known of other batches.
        """
        memory = as_positive(memory, "memory (in bytes)")
        if self.total(1, optimizer=optimizer) > memory:
            return 0
        fits, not_any_more = 1, 2
        while self.total(not_any_more, optimizer=optimizer) <= memory:
            fits, not_any_more = not_any_more, 2 * not_any_more
        while not_any_more - fits > 1:
            middle = (fits + not_any_more) // 2
            if self.total(middle, optimizer=optimizer) <= memory:
                fits = middle
            else:
                not_any_more = middle
        return fits


@dataclass(frozen=True)
class TrainingMemory:
    """What a training step of a model holds, and one of its momentum twin.

    Attributes
    ----------
    model : str
        The class of the model given.
    batch : int
    parameters, gradients, buffers, inputs : int
        Bytes of the model, and of the batch.
    plain : StepMemory
        Of the model under plain autograd.
    twin : StepMemory or None
        Of its momentum twin, which recomputes; None where there is none.
    refused : str
        Why there is no twin.
    given : str
        Which of the two the model is, "plain" or "twin".
    notes : dict of str to str
        How the twin holds a part: "exact" or "checkpoint" for a row, or why a block is in none.
    """

    model: str
    batch: int
    parameters: int
    gradients: int
    buffers: int
    inputs: int
    plain: StepMemory
    twin: StepMemory | None
    refused: str
    given: str = "plain"
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def step(self) -> StepMemory:
        """That of the model given."""
        return self.twin if self.given == "twin" and self.twin is not None else self.plain

    @property
    def ratio(self) -> float:
        """The twin's peak over the plain one; nan where there is no twin."""
        if self.twin is None:
            return math.nan
        return self.twin.peak / self.plain.peak if self.plain.peak else math.inf

    @property
    def ratio_in_all(self) -> float:
        """The same with parameters, gradients and buffers, which both hold in full."""
        if self.twin is None:
            return math.nan
        return (self.twin.peak + self.twin.held) / (self.plain.peak + self.plain.held)

    def largest_batch(self, memory: float, *, optimizer: int = 0) -> int:
        """The largest batch of the model given whose training step fits into ``memory`` bytes.

        ``report.plain`` and ``report.twin`` have the same method (`StepMemory.largest_batch`).
        Counted are parameters, gradients, buffers, the batch, and what the step holds, but of the
        workspaces of libraries only those of convolutions on processors: leave some room.

        Parameters
        ----------
        memory : float
            Bytes.
        optimizer : int
            Numbers that it keeps a parameter: 0 for SGD, 1 with momentum, 2 for Adam.
        """
        return self.step.largest_batch(memory, optimizer=optimizer)

    def __str__(self) -> str:
        steps = {"plain": self.plain} | ({"twin": self.twin} if self.twin else {})
        table = {"a training step holds": [*steps]}
        for part, sizes in self._parts([*steps.values()]).items():
            table[f"  {part}"] = [readable(n) for n in sizes]
        table["  together"] = [readable(step.peak) for step in steps.values()]
        table["  and a further sample"] = [step.further_sample() for step in steps.values()]
        width = max(map(len, table))
        said = [
            f"{self.model}, batch {self.batch}: parameters {readable(self.parameters)}, gradients "
            f"{readable(self.gradients)}, buffers {readable(self.buffers)}, the batch "
            f"{readable(self.inputs)}; what the optimizer keeps comes on top"
        ]
        for name, cells in table.items():
            note = self.notes.get(name.strip(), "") if self.twin else ""
            row = f"{name:{width}}" + "".join(f"{cell:>11}" for cell in cells)
            said.append(f"{row}  {note}" if note else row)
        if self.twin is None:
            said.append(f"no momentum twin: {self.refused}")
        else:
            said.append(
                f"the twin's step holds {self.ratio:.2f} of the plain one's; with parameters and "
                f"gradients, which both hold in full, {self.ratio_in_all:.2f}"
            )
        for name, step in steps.items():
            if step.measured:
                said.append(f"{name}: a step was run and measured, for {step.measured}")
        return "\n".join(said)

    def _parts(self, steps: list[StepMemory]) -> dict[str, list[int]]:
        """The bytes of each part in each step; small parts are one."""
        names = dict.fromkeys(part for step in steps for part in step.parts)
        sizes = {name: [step.parts.get(name, 0) for step in steps] for name in names}
        bound = SMALL * max(step.peak for step in steps)
        small = [sizes.pop(name) for name in names if max(sizes[name]) < bound]
        if small:
            sizes["the rest"] = [sum(column) for column in zip(*small, strict=True)]
        return sizes
