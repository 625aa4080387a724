"""`odemom.nn.psi` and `odemom.nn.transform` are functions, whatever was imported before."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest

import odemom.nn

FIRST = [
    "import odemom.nn",
    "import odemom; odemom.nn.psi",
    "import odemom.nn.psi.evaluate",
    "import odemom.nn.transform.twin",
    "from odemom.nn.transform import restore",
    "from odemom.nn.nets.momentum_net import MomentumNet",
    "import odemom.nn.reversible.gamma",
]
USED = """
from odemom.nn import MomentumNet
net = MomentumNet([torch.nn.Tanh()])
net(torch.ones(3, requires_grad=True)).sum().backward()
assert "torch._dynamo" not in sys.modules, "torch.compile is imported for nothing"
"""
# A process for each order, forked from one that has loaded torch, but nothing of odemom.
EACH_ORDER = f"""
import gc, os, sys, traceback
gc.disable()
import torch, torchdiffeq, scipy.linalg
for first in {FIRST!r}:
    child = os.fork()
    if not child:
        try:
            for code in [first, *{FIRST!r}]:
                exec(code, {{}})
                nn = sys.modules["odemom.nn"]
                for function in nn.psi, nn.transform, nn.transform.restore:
                    assert type(function) is type(lambda: None), (first, code)
            if first == {FIRST[0]!r}:
                exec({USED!r})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, first
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_in_every_order_of_imports_and_without_the_compiler():
    done = subprocess.run(
        [sys.executable, "-c", EACH_ORDER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_room_gives_its_modules_by_their_full_names():
    for module in pkgutil.walk_packages(odemom.nn.__path__, "odemom.nn."):
        assert importlib.import_module(module.name).__name__ == module.name
    from odemom.nn.psi import evaluate
    from odemom.nn.transform import twin

    assert evaluate.__name__ == "odemom.nn.psi.evaluate"
    assert odemom.nn.transform is twin.transform


@pytest.mark.parametrize(
    "name", ["Checkpointed", "MomentumNet", "ODEBlock", "ResidualNet", "RevNet", "psi", "transform"]
)
def test_public_names_are_classes_and_functions(name):
    assert callable(getattr(odemom.nn, name))
