"""The progress bar of a training."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("lightning")

import rich

from odemom.training.bar import Bar


@pytest.mark.parametrize("fails", [False, True])
def test_the_bar_leaves_the_console_as_it_was(fails):
    console = rich.get_console()
    before = dict(vars(console))
    try:
        rich.reconfigure(width=37)
        bar, trainer = Bar(), SimpleNamespace(is_global_zero=True)
        bar.setup(trainer, None, "fit")
        rich.reconfigure(stderr=True)  # as Lightning does when the bar begins
        if fails:
            bar.on_exception(trainer, None, KeyboardInterrupt())
        else:
            bar.teardown(trainer, None, "fit")
        assert (rich.get_console().stderr, rich.get_console().width) == (False, 37)
    finally:
        vars(console).update(before)
