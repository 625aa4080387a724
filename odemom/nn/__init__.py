"""PyTorch modules: second-order ODE blocks and their discrete twins.

Two rooms are called after the one function that they hold, `psi` and `transform`. As attributes of
``odemom.nn`` these names are the functions; what else is in the rooms is imported by its full name,
``from odemom.nn.psi.evaluate import jet``.
"""

from __future__ import annotations

from odemom.checks import optional_import

optional_import("torch", "torch")

from odemom.nn.first_calls import settle_first_calls
from odemom.nn.memory import memory_report as memory_report
from odemom.nn.nets import Checkpointed as Checkpointed
from odemom.nn.nets import MomentumNet as MomentumNet
from odemom.nn.nets import ResidualNet as ResidualNet
from odemom.nn.nets import RevNet as RevNet
from odemom.nn.ode import ODEBlock as ODEBlock
from odemom.nn.psi import psi as psi
from odemom.nn.transform import transform as transform
from odemom.nn.transform import twin_report as twin_report

settle_first_calls()
