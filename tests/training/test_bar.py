"""The progress bar of a training."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

pytest.importorskip("lightning")

import rich

from odemom.training import TrainingConfig
from odemom.training.bar import Bar, Lines, progress_of
from odemom.training.run import train


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


def test_a_log_has_a_line_per_epoch(tmp_path, capsys):
    config = TrainingConfig(width=8, limit=64, epochs=3, method="euler", accelerator="cpu")
    result = train(config, out_dir=tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for line, row in zip(lines, result.history, strict=True):
        assert line.startswith(
            f"epoch {row['epoch']} of 3: train loss {row['train_loss']:.4g}, validation accuracy "
            f"{row['validation_accuracy']:.2%}; "
        )
    assert lines[-1].endswith("; 0 seconds left")
    train(config, out_dir=tmp_path, progress=False)
    assert capsys.readouterr().err == ""


def test_lines_leave_out_what_was_told_before_an_interruption(capsys):
    row = {"epoch": 1, "train_loss": 2.0, "validation_accuracy": math.nan, "seconds": 1800.0}
    module = SimpleNamespace(history=[row])
    trainer = SimpleNamespace(is_global_zero=True, max_epochs=4)
    lines = Lines()
    lines.on_train_start(trainer, module)
    lines.on_train_epoch_start(trainer, module)
    module.history.append({**row, "epoch": 2, "seconds": 5400.0})
    lines.on_train_end(trainer, module)
    assert capsys.readouterr().err == "epoch 2 of 4: train loss 2; 90 minutes left\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_has_a_bar(monkeypatch, terminal):
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    assert isinstance(progress_of(), Bar if terminal else Lines)
