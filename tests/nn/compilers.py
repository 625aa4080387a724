"""What the compilers and tracers of the oldest PyTorch that is supported cannot do."""

from __future__ import annotations

import pytest
import torch

VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
newer_compiler = pytest.mark.skipif(
    VERSION < (2, 7), reason="the compilers of PyTorch 2.6 do not follow this code; docs/limits.md"
)
