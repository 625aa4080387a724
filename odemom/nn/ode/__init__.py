"""A layer that integrates an ODE, its right-hand side, and what both refuse."""

from __future__ import annotations

from odemom.nn.ode.block import ODEBlock as ODEBlock
