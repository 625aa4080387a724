"""Numbers of other packages, as NumPy's and Python's own: tensors, SymPy, mpmath, decimals, text.

No package is imported here: one whose object was passed has been imported already.
"""

from __future__ import annotations

import math
import numbers
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks.messages import invalid, shown
from odemom.checks.spelling import SpellingError, spelt_exactly

__all__ = [
    "MOST_NESTED",
    "is_tensor",
    "plain_entry",
    "plain_lists",
    "spacing_of",
    "tensor_as_array",
]

MATRIX_PACKAGES = ("sympy", "flint", "mpmath")
LARGEST_BINARY_EXPONENT = 100_000  # within which a rational is short
SYMPY_INFINITE = ("Infinity", "NegativeInfinity", "NaN")
MOST_NESTED = 32  # NumPy takes no more axes than that, or 64


def is_tensor(value: object) -> bool:
    """Whether the value is a tensor, or a parameter, of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def tensor_as_array(tensor: Any, name: str) -> np.ndarray:
    """The numbers of a tensor: detached, on the CPU; what NumPy has no type for as float32.

    Raises
    ------
    InvalidInputError
        If the tensor is sparse, quantized, or holds no numbers (the device "meta").
    """
    torch = sys.modules["torch"]
    fix = {"meta": "Give it values first."}.get(tensor.device.type, "")
    kind = "one without values, on the device 'meta'" if fix else ""
    if tensor.layout != torch.strided:
        kind, fix = f"a sparse one ({tensor.layout})", "Pass tensor.to_dense()."
    elif tensor.is_quantized:
        kind, fix = f"a quantized one ({tensor.dtype})", "Pass tensor.dequantize()."
    if kind:
        raise invalid(name, got=f"a tensor, {kind}", expected="a tensor of real numbers", fix=fix)
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    if tensor.is_floating_point() and (tensor.dtype.itemsize < 2 or tensor.dtype == torch.bfloat16):
        tensor = tensor.float()  # exact: float32 holds every bfloat16, and every float of 8 bits
    try:
        return tensor.numpy()
    except (TypeError, RuntimeError) as error:
        raise invalid(
            name,
            got=f"a tensor of {tensor.dtype} ({shown(str(error))})",
            expected="a tensor of real numbers",
        ) from None


def spacing_of(given: Any) -> float | None:
    """The spacing at 1 of the floating-point type of an array or tensor; None of all else."""
    dtype = getattr(given, "dtype", None)
    if isinstance(dtype, np.dtype):
        return float(np.finfo(dtype).eps) if dtype.kind == "f" else None
    if is_tensor(given) and given.is_floating_point():
        return float(sys.modules["torch"].finfo(dtype).eps)
    return None


def plain_lists(value: Any, name: str, *, exactly: bool) -> Any:
    """Nested lists with every entry a number that NumPy knows, where they hold any other.

    Parameters
    ----------
    value : object
        A tensor, a matrix of SymPy, python-flint or mpmath, or nested lists or tuples of numbers,
        of text that spells numbers, or of such rows; anything else is returned as it is.
    name : str
        The argument's name, for the message.
    exactly : bool
        Whether floats of more digits than doubles have are kept as rationals.

    Raises
    ------
    InvalidInputError
        If an entry is masked, an irrational number of SymPy, text that spells no number, or a
        boolean beside numbers.
    """
    if is_tensor(value):
        return tensor_as_array(value, name)
    if type(value).__module__.startswith(MATRIX_PACKAGES):
        if hasattr(value, "as_explicit"):
            value = _explicit(value, name)
        if hasattr(value, "tolist") and not isinstance(value, np.ndarray):
            value = value.tolist()
    if not isinstance(value, list | tuple):
        return value
    kinds = _kinds_of_entries(value)
    refuse_booleans_beside_numbers(kinds, name)
    return _plain(value, name, (), exactly) if any(map(_is_foreign, kinds)) else value


def _explicit(value: Any, name: str) -> Any:
    """The entries of a matrix of SymPy."""
    try:
        return value.as_explicit()
    except (ValueError, TypeError) as error:
        raise invalid(
            name,
            got=f"{shown(value)}, whose entries are not known ({shown(str(error))})",
            expected="a matrix of numbers",
        ) from None


def refuse_booleans_beside_numbers(kinds: set[type], name: str) -> None:
    """Booleans alone are zeros and ones; beside numbers, one of them is a mistake."""
    booleans = {kind for kind in kinds if issubclass(kind, bool | np.bool_)}
    if booleans and booleans != kinds:
        raise invalid(
            name,
            got="booleans beside numbers",
            expected="numbers, or booleans only, which are zeros and ones",
        )


def _kinds_of_entries(rows: Any, depth: int = 0) -> set[type]:
    """The types within nested lists, without those of the lists."""
    kinds = set(map(type, rows))
    lists = {kind for kind in kinds if issubclass(kind, list | tuple)}
    if lists and depth < MOST_NESTED:
        for row in rows:
            if type(row) in lists:
                kinds |= _kinds_of_entries(row, depth + 1)
    return kinds - lists


def _is_foreign(kind: type) -> bool:
    """Whether entries or rows of this type are to be looked at one by one."""
    if issubclass(kind, str | Decimal | np.ma.MaskedArray):
        return True
    return kind.__module__.startswith((*MATRIX_PACKAGES, "torch"))


def _plain(value: Any, name: str, where: tuple[int, ...], exactly: bool) -> Any:
    if isinstance(value, list | tuple) and len(where) < MOST_NESTED:
        return [_plain(entry, name, (*where, i), exactly) for i, entry in enumerate(value)]
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise invalid(
            name,
            got=f"masked entries in the list at {list(where)}",
            expected="a matrix whose every entry is known",
            fix="Fill the entries first: array.filled(value).",
        )
    if is_tensor(value):
        array = tensor_as_array(value, name)
        return array.item() if array.ndim == 0 else array
    return plain_entry(value, name, where, exactly=exactly)


def plain_entry(value: Any, name: str, where: tuple[int, ...], *, exactly: bool) -> Any:
    """A number, or text that spells one, as Python's own; what is none as it is.

    Text and decimals are exact: ``"0.1"`` is 1/10. Floats of SymPy and mpmath are rounded to
    doubles, unless ``exactly``.

    Raises
    ------
    InvalidInputError
        If text spells no number, or a number of SymPy is real and irrational.
    """
    place = f" at {list(where)}" if where else ""
    if isinstance(value, Decimal) and not value.is_finite():
        return math.nan if value.is_nan() else float(value)
    if isinstance(value, str | Decimal):
        try:
            return spelt_exactly(str(value))
        except SpellingError as error:
            limit = f" with {error.limit}" if error.limit else ""
            raise invalid(
                name,
                got=f"the text {shown(str(value))}{place}",
                expected=f"a number, or text that spells one: '-3/4', '0.1'{limit}",
            ) from None
    # SymPy stores its floats as mpmath does. Balls of python-flint look so too, and are no floats.
    if type(value).__module__.startswith(("sympy", "mpmath")) and hasattr(value, "_mpf_"):
        return _of_binary(value, name, place, exactly)
    if type(value).__module__.startswith("sympy") and isinstance(value, numbers.Rational):
        p, q = int(value.numerator), int(value.denominator)
        return p if q == 1 else Fraction(p, q)
    if type(value).__name__ in SYMPY_INFINITE and type(value).__module__.startswith("sympy"):
        return float(value)
    if _is_irrational(value):
        raise invalid(
            name,
            got=f"the irrational number {shown(value)}{place}",
            expected="rational numbers, or floats",
            fix="Pass floats: .evalf() rounds every entry, and the decision has a tolerance then.",
        )
    return value


def _of_binary(value: Any, name: str, place: str, exactly: bool) -> Fraction | float:
    sign, mantissa, exponent, _ = value._mpf_
    if not mantissa:  # 0, inf or nan
        return float(value)
    if exactly and abs(exponent) <= LARGEST_BINARY_EXPONENT:
        return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent
    try:
        rounded = float(value)
    except OverflowError:
        rounded = math.inf
    if rounded and math.isfinite(rounded):
        return rounded
    most = f"a size of 2^±{LARGEST_BINARY_EXPONENT} at the most"
    raise invalid(
        name,
        got=f"{shown(value)}{place}, which no double holds",
        expected=most if exactly else "numbers within the doubles, or exact ones",
        fix="" if exactly else "mpmath.chop removes what rounding has left; or pass rationals.",
    )


def _is_irrational(value: Any) -> bool:
    """Whether this is a number of SymPy that is real, finite and not known to be rational."""
    if not type(value).__module__.startswith("sympy") or getattr(value, "is_rational", None):
        return False
    return bool(getattr(value, "is_number", False) and value.is_real and value.is_finite)
