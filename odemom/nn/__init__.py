"""PyTorch modules: second-order ODE blocks and their discrete twins."""

from __future__ import annotations

from odemom.checks import optional_import

optional_import("torch", "torch")

from odemom.nn.baselines import ResidualNet as ResidualNet  # noqa: E402
from odemom.nn.baselines import RevNet as RevNet  # noqa: E402
from odemom.nn.layered import Checkpointed as Checkpointed  # noqa: E402
from odemom.nn.momentum_net import MomentumNet as MomentumNet  # noqa: E402
from odemom.nn.twin import transform as transform  # noqa: E402
