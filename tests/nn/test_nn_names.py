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
    "import odemom.nn.psi",
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


IN_A_MODE = """
import torch, odemom
from torch._subclasses import FakeTensorMode

if {mode!r} == "fake":
    with FakeTensorMode():
        nn = odemom.nn
        nn.ODEBlock, nn.memory_report
else:
    torch.func.functionalize(lambda x: (odemom.nn.ODEBlock, x)[1])(torch.ones(2))
nn = odemom.nn
x = torch.ones(3, 5, requires_grad=True)
options = {{"method": "reversible_euler", "options": {{"step_size": 0.25}}}}
y = nn.ODEBlock(torch.nn.Linear(5, 5), 1, gradient="reversible", **options)(x)
y.sum().backward()
assert bool(x.grad.isfinite().all())
from odemom.nn.reversible import native

assert native.alike(torch.ones(3), torch.ones(3))
net = nn.MomentumNet([torch.nn.Linear(5, 5), torch.nn.Tanh()], 0.9)
assert nn.memory_report(net, x).twin.peak > 0
"""


@pytest.mark.parametrize("mode", ["fake", "functional"])
def test_imported_where_tensors_are_others_it_works_elsewhere(mode):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_MODE.format(mode=mode)],
        capture_output=True,
        text=True,
        check=False,
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
