"""First calls of MKL's vector functions, each made by one thread.

MKL looks up which of its kernels a function takes when the function is called for the first time.
Where several threads do so at once, one of them may get a kernel of half the digits for that call
(PyTorch issue 188792): `torch.tanh` of a large float32 tensor, the first in a process, is then off
by 5e-5 in one thread's share, and a reversible pass, which computes everything twice, finds other
bits the second time. Measured with torch 2.14 on two cores: one process in thirty.
"""

from __future__ import annotations

import torch

__all__ = ["VECTOR_FUNCTIONS", "settle_first_calls"]

VECTOR_FUNCTIONS = (
    "acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "erfinv", "exp", "expm1", "log", "log10",
    "log1p", "log2", "rsqrt", "sin", "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
"""Functions of torch that hand contiguous tensors on a CPU to MKL."""


def settle_first_calls() -> None:
    """Call each function on one number of each precision, which no two threads share.

    Examples
    --------
    >>> settle_first_calls()
    """
    if not torch.backends.mkl.is_available():
        return
    for dtype in (torch.float32, torch.float64):
        number = torch.full((1,), 0.5, dtype=dtype, device="cpu")
        for name in VECTOR_FUNCTIONS:
            getattr(torch, name)(number)
