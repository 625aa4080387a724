"""What a training step holds, found before it is run.

`saved` is what autograd keeps of one function, from its shapes; `step` follows a whole step on
tensors without values, `watch` counts the bytes that live in it, and `training` makes the report.
"""

from __future__ import annotations

from odemom.nn.memory.report import StepMemory as StepMemory
from odemom.nn.memory.report import TrainingMemory as TrainingMemory
from odemom.nn.memory.training import memory_report as memory_report
