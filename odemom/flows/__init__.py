"""Flows: linear models that map x0 to psi(theta) x0, each with its scalar and matrix function.

================================  ==========================================  =====================
flow                              model                                       psi(z)
================================  ==========================================  =====================
`FirstOrder()`                    x' = theta x                                exp(z)
`SecondOrder(eps)`                eps x'' + x' = theta x, x'(0) = 0           see `SecondOrder`
`SecondOrder(eps, "field")`       the same, x'(0) = theta x0                  see `SecondOrder`
`Undamped()`                      x'' = theta x, x'(0) = 0                    cosh(sqrt z)
`Coasting(eps, switch)`           theta until the switch, then 0              see `Coasting`
`ResNet(depth)`                   x_{n+1} = x_n + theta x_n                   (1 + z)^depth
`MomentumResNet(gamma, depth)`    v_{n+1} = gamma v_n + (1 - gamma) theta     see `MomentumResNet`
                                  x_n, x_{n+1} = x_n + v_{n+1}, v_0 = 0
`CoastingNet(gamma, depth, n)`    the same, theta in the first n layers only  see `CoastingNet`
================================  ==========================================  =====================
"""

from odemom.flows.base import Attainment as Attainment
from odemom.flows.base import Flow as Flow
from odemom.flows.base import RationalThreshold as RationalThreshold
from odemom.flows.base import RealImage as RealImage
from odemom.flows.by_eps import flow_of as flow_of
from odemom.flows.coasting import Coasting as Coasting
from odemom.flows.coasting_net import CoastingNet as CoastingNet
from odemom.flows.discrete import MomentumResNet as MomentumResNet
from odemom.flows.discrete import ResNet as ResNet
from odemom.flows.first_order import FirstOrder as FirstOrder
from odemom.flows.momentum_threshold import MomentumThreshold as MomentumThreshold
from odemom.flows.ode import ODEFlow as ODEFlow
from odemom.flows.second_order import SecondOrder as SecondOrder
from odemom.flows.threshold import LambdaEps as LambdaEps
from odemom.flows.undamped import Undamped as Undamped
