"""Networks that apply a list of functions layer by layer: the Momentum ResNet and its baselines.

`layered` is what they share under plain autograd, `reversible_net` what they share when they
recompute; each network's own file holds its formula.
"""

from __future__ import annotations

from odemom.nn.nets.checkpointed import Checkpointed as Checkpointed
from odemom.nn.nets.momentum_net import MomentumNet as MomentumNet
from odemom.nn.nets.residual_net import ResidualNet as ResidualNet
from odemom.nn.nets.rev_net import RevNet as RevNet
