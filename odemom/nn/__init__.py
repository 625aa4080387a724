"""PyTorch modules: second-order ODE blocks and their discrete twins."""

from __future__ import annotations

from odemom.checks import optional_import

optional_import("torch", "torch")

from odemom.nn._psi import psi as psi
from odemom.nn.baselines import ResidualNet as ResidualNet
from odemom.nn.baselines import RevNet as RevNet
from odemom.nn.layered import Checkpointed as Checkpointed
from odemom.nn.momentum_net import MomentumNet as MomentumNet
from odemom.nn.ode_block import ODEBlock as ODEBlock
from odemom.nn.twin import transform as transform
