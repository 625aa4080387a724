"""PyTorch modules: second-order ODE blocks and their discrete twins."""

from __future__ import annotations

from odemom.checks import optional_import

optional_import("torch", "torch")

from odemom.nn._psi import psi as psi  # noqa: E402
from odemom.nn.ode_block import ODEBlock as ODEBlock  # noqa: E402 - torch may be missing above
