"""What a convolution takes for itself, against the resident memory of single ones."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.resident import ask, peak_of
from odemom.nn.memory.watch import WORKSPACE, Watch
from odemom.nn.memory.workspace import workspace

CASES = [
    # channels in and out, kernel, stride, groups, dtype, channels-last
    (64, 64, 3, 1, 1, "float32", False),
    (64, 256, 1, 1, 1, "float32", False),
    (256, 64, 1, 1, 1, "float32", False),
    (256, 512, 1, 2, 1, "float32", False),
    (64, 64, 3, 2, 1, "float32", False),
    (64, 64, 3, 1, 64, "float32", False),
    (64, 64, 3, 1, 1, "float32", True),
    (64, 64, 3, 1, 1, "float64", False),
    (64, 256, 1, 1, 1, "float64", False),
    (64, 64, 3, 1, 1, "bfloat16", False),
    (64, 256, 1, 1, 1, "bfloat16", False),
    (256, 64, 1, 1, 1, "bfloat16", False),
    (256, 512, 1, 2, 1, "bfloat16", False),
    (64, 64, 3, 1, 64, "bfloat16", False),
    (1024, 1024, 3, 1, 1, "float32", False),
    (1024, 1024, 3, 1, 1, "float32", True),
    (512, 512, 3, 1, 1, "bfloat16", False),
    (1024, 1024, 3, 1, 1, "bfloat16", True),
    (1024, 512, 1, 2, 1, "float32", True),
    (64, 64, 7, 1, 64, "float32", False),
    (96, 96, 7, 1, 96, "float32", True),
    (96, 96, 3, 2, 96, "float32", False),
    (96, 96, 3, 2, 96, "float32", True),
    (96, 96, 15, 1, 96, "float32", True),
    (128, 128, 3, 1, 32, "float32", False),
    (128, 128, 3, 1, 4, "float32", False),
    (3, 64, 7, 2, 1, "float32", False),
]


class Taken(TorchDispatchMode):
    """The largest workspace of the operations inside."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        value = func(*args, **(kwargs or {}))
        self.largest = max(self.largest, workspace(func, args, value))
        return value


def convolution(inner, outer, kernel, stride, groups, dtype, last):
    """A forward pass, and a backward pass of it that keeps nothing else alive."""
    kind = getattr(torch, dtype)
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(16, inner, 32, 32, dtype=kind).to(memory_format=layout)
    w = torch.randn(outer, inner // groups, kernel, kernel, dtype=kind).to(memory_format=layout)
    strides, padding = [stride] * 2, [0 if kernel == stride else kernel // 2] * 2

    def forward():
        return torch.conv2d(x, w, None, strides, padding, 1, groups)

    g = torch.randn_like(forward())

    def backward():
        shape = (None, strides, padding, [1, 1], False, [0, 0], groups, [True, True, False])
        return torch.ops.aten.convolution_backward(g, x, w, *shape)

    return forward, backward


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_resident_memory_of_a_convolution(case):
    """To a quarter, and 1 MB for pages and small buffers."""
    said = ask("tests.nn.memory.test_workspace", json.dumps(case))
    for way in ("forward", "backward"):
        real, found = said[way]
        assert real < 1.25 * found + 1e6
        assert found < 1.25 * real + 1e6


def test_only_convolutions_on_processors_and_by_their_library():
    x, w = torch.empty(2, 8, 6, 6), torch.empty(4, 8, 3, 3)
    with Taken() as double:
        torch.conv2d(x.double(), w.double(), padding=1)
    assert double.largest == 2 * 36 * 8 * 9 * 8  # every patch of 8 channels, 3 x 3
    with Taken() as pointwise:
        torch.conv2d(x.double(), w[:, :, :1, :1].double())
    assert pointwise.largest == 0
    with Taken() as meta:
        torch.conv2d(x.to("meta"), w.to("meta"))
    assert meta.largest == 0
    with Taken() as product:
        _ = torch.randn(9, 9) @ torch.randn(9, 9)
    assert product.largest == 0


def test_a_watch_counts_it_for_the_moment():
    x, w = torch.randn(2, 8, 6, 6, dtype=torch.float64), torch.randn(4, 8, 3, 3).double()
    watch = Watch({})
    watch.leave_out([x, w])
    with watch:
        y = torch.conv2d(x, w, padding=1)
    assert watch.live == y.nbytes
    assert watch.peak == y.nbytes + watch.parts[WORKSPACE] == y.nbytes + 2 * 36 * 8 * 9 * 8
    assert sum(watch.parts.values()) == watch.peak


def main() -> None:
    """Print real and found bytes beyond the value of a convolution and of its backward pass."""
    case = json.loads(sys.argv[1])
    said = {}
    for way, run in zip(("forward", "backward"), convolution(*case), strict=True):
        with Taken() as taken:
            value = run()
        own = sum(
            t.nbytes for t in (value if isinstance(value, tuple) else (value,)) if t is not None
        )
        del value
        said[way] = (peak_of(torch.nn.Identity(), run)["peak"] - own, taken.largest)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
