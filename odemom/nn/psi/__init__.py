"""The matrix function psi of tensors: its evaluation, and its derivatives for autograd."""

from __future__ import annotations

from odemom.nn.psi.autograd import psi as psi
