"""Arithmetic that can be undone bit for bit, for networks that recompute instead of remember.

The scheme (proved in docs/mathematics/reversible.md). A Momentum ResNet maps (x, v) to

    v' = gamma v + (1 - gamma) f(x),    x' = x + v',

and is inverted by x = x' - v', v = (v' - (1 - gamma) f(x)) / gamma. In floating point neither line
is: each sum rounds, and the factor 1/gamma per layer amplifies what was lost, until the recomputed
f(x) is that of another network. Here x and v are integers times a power of two (`fixed_point`),
where sums are exact; gamma is a fraction (`gamma`), whose remainders go to an information buffer
that spills when it is full (`buffer`). Every x that a function sees, going back, has the bits that
it had going forward, at any depth, and the function's value with them.

Noise. Against real arithmetic a layer rounds f once (half a unit) and gamma v once (about one unit,
whatever the denominator), where floats round relative to the size of x. Each sample has a unit of
its own, 2^-43 for float32 and, with two words a number, 2^-112 for float64 where the sample is of
size 1 (`fixed_point`): the reversible network is no further from exact arithmetic than the float
network, and differs from it by that one's rounding. What leaves the range raises; it is never
wrapped.

Cost. One pass over memory forward and two back (`kernels`), 24 bytes per element for x, v and the
buffer's word, 40 for numbers of two words, and 4 bytes more per 32 bits that gamma forgets,
log2(1/gamma) bits per layer. Beside functions of many parameters, on a CPU, a word of few bits is
held in 2 or 4 bytes.

Where to start. `step_by_step` is the whole scheme on one page of plain integer arithmetic, to be
read beside the papers; the rest of this room does the same fast, bit for bit.

The radix bookkeeping departs from Maclaurin, Duvenaud and Adams (2015); `buffer` says how and why.

References
----------
Maclaurin, Duvenaud, Adams, *Gradient-based hyperparameter optimization through reversible
learning*, ICML 2015. Sander, Ablin, Blondel, Peyré, *Momentum residual neural networks*, ICML 2021.
"""

from __future__ import annotations

from odemom.nn.reversible.buffer import InformationBuffer as InformationBuffer
from odemom.nn.reversible.coupling import CouplingState as CouplingState
from odemom.nn.reversible.fixed_point import FixedPoint as FixedPoint
from odemom.nn.reversible.gamma import rational_gamma as rational_gamma
from odemom.nn.reversible.kernels import kernel_for as kernel_for
from odemom.nn.reversible.kernels import use_kernel as use_kernel
from odemom.nn.reversible.momentum import MomentumState as MomentumState
from odemom.nn.reversible.state import ReversibleState as ReversibleState
