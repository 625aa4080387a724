"""Two processes with half the batch each train as one with the whole, and a killed run resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.pictures import image_folder

COMMAND = (sys.executable, "-c", "from odemom.cli import main; main()", "train")
NETWORK = ("--model", "odenet", "--channels", "2", "--set", "blocks=2", "--accelerator", "cpu")
ARGUMENTS = ("--epochs", "3", "--augment", "crop+flip", "--learning-rate", "0.01")


def arguments(tmp_path, images):
    path = tmp_path / "tints"
    if not path.exists():
        image_folder(path, images=images)
    data = ("--data", str(path), "--root", str(tmp_path / "cache"))
    return (*data, *NETWORK, *ARGUMENTS)


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def script(tmp_path):
    """A script, as the launcher of further processes starts the same one again."""
    path = tmp_path / "train.py"
    path.write_text("from odemom.cli import main\n\nif __name__ == '__main__':\n    main()\n")
    return (sys.executable, str(path), "train")


@pytest.mark.slow
def test_two_processes_with_half_the_batch_are_one_with_the_whole(tmp_path):
    given = arguments(tmp_path, 40)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    results = []
    for name, own in (
        ("one", ("--batch-size", "16")),
        ("two", ("--batch-size", "8", "--devices", "2", "--strategy", "ddp")),
    ):
        out = tmp_path / name
        done = subprocess.run(
            [*script(tmp_path), *given, *own, "--out", str(out), "--json"],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["config"]["devices"] == (2 if name == "two" else 1)
        results.append(json.loads((out / "result.json").read_text()))
    one, two = (weights(tmp_path / name) for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert max(float((one[k] - two[k]).abs().max()) for k in one) < 1e-5
    assert results[0]["test_accuracy"] == results[1]["test_accuracy"]
    for a, b in zip(results[0]["history"], results[1]["history"], strict=True):
        assert a["step"] == b["step"]
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-5)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], abs=1e-5)


@pytest.mark.slow
def test_a_process_killed_in_the_middle_resumes_to_the_same_weights(tmp_path):
    given = (*arguments(tmp_path, 400), "--batch-size", "8", "--checkpoint-steps", "3")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}

    def started(name, *more):
        command = [*COMMAND, *given, "--out", str(tmp_path / name), "--json", *more]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    whole = started("whole")
    assert whole.wait(300) == 0
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    cut = started("cut")
    while not last.exists() and cut.poll() is None:
        time.sleep(0.01)
    cut.send_signal(signal.SIGKILL)
    assert cut.wait(60) == -signal.SIGKILL
    saved = torch.load(last, weights_only=True)
    assert 0 < saved["global_step"] < 3 * 72
    assert started("cut", "--resume", str(last)).wait(300) == 0
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[k], two[k]) for k in one)
