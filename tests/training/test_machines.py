"""Trainings on several machines: those that could not meet, that wait, and that end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from odemom import InvalidInputError
from odemom.training import TrainingConfig, machines
from odemom.training.run import train

PLACE = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "0"}
ASKED = ("--model", "resnet20", "--limit", "64", "--batch-size", "16", "--epochs", "1")
TWO = ("--num-nodes", "2", "--strategy", "ddp", "--accelerator", "cpu")


@pytest.fixture
def nowhere(monkeypatch):
    """An environment that says nothing of other machines."""
    for name in (*PLACE, "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)  # which trainers set
    return monkeypatch


def two_machines():
    return TrainingConfig(num_nodes=2, strategy="ddp", accelerator="cpu", limit=64, batch_size=16)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({}, "num_nodes: got 2 without MASTER_ADDR and MASTER_PORT and NODE_RANK in the env"),
        ({"MASTER_PORT": ""}, "num_nodes: got 2 without MASTER_PORT in the environment"),
        ({"MASTER_PORT": "a"}, "MASTER_PORT: got 'a'; expected an integer from 1 to 65535"),
        ({"MASTER_PORT": "0"}, "MASTER_PORT: got '0'"),
        ({"NODE_RANK": "2"}, "NODE_RANK: got '2'; expected an integer from 0 to 1"),
        ({"NODE_RANK": "-1"}, "NODE_RANK: got '-1'"),
    ],
)
def test_machines_that_could_not_meet_are_refused(tmp_path, nowhere, place, message):
    for name, value in (PLACE | place if place else {}).items():
        nowhere.setenv(name, value)
    with pytest.raises(InvalidInputError, match=message) as refused:
        train(two_machines(), out_dir=tmp_path / "out", progress=False)
    assert "NODE_RANK=0 odemom train ..." in str(refused.value)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_what_others_start_knows_its_place(nowhere):
    machines.check_meeting_place(two_machines(), SimpleNamespace(cluster_environment=None))
    machines.check_meeting_place(TrainingConfig(), SimpleNamespace())


def test_a_machine_that_does_not_come_is_named(nowhere):
    for name, value in PLACE.items():
        nowhere.setenv(name, value)
    trainer = SimpleNamespace(callbacks=[])
    message = (
        r"num_nodes: got 2 machines of which one is not there \('Timed out.*127\.0\.0\.1:29500"
    )
    with (
        pytest.raises(InvalidInputError, match=message),
        machines.meeting(two_machines(), trainer),
    ):
        raise torch.distributed.DistStoreError("Timed out after 1801 seconds")


def test_the_wait_leaves_signals_as_they_were():
    joining = machines.Joining(two_machines())
    before = signal.set_wakeup_fd(-1)
    try:
        joining.start(SimpleNamespace())
        joining.setup(None, None, "fit")
        joining.stop()
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.set_wakeup_fd(before)


def started(tmp_path, rank, port, *more):
    env = {**os.environ, **PLACE, "MASTER_PORT": str(port), "NODE_RANK": str(rank)}
    env["PYTHONPATH"] = os.pathsep.join([os.getcwd(), *sys.path])
    command = [sys.executable, "-m", "odemom", "train", *ASKED, *TWO, "--out", f"out-{rank}", *more]
    return subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_says_for_what_and_ends_at_a_signal(tmp_path, rank, number):
    process = started(tmp_path, rank, free_port())
    assert process.stderr is not None
    said = ""
    while "Ctrl-C ends the wait" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    assert "waiting for 1 other machine to start this command too" in said
    assert f"this one is NODE_RANK {rank}" in said
    start = time.monotonic()
    process.send_signal(number)
    assert process.wait(30) == 130
    assert time.monotonic() - start < 20
    assert process.stderr.read().endswith("interrupted: no training was begun\n")


@pytest.mark.slow
def test_two_machines_with_disks_of_their_own_train_one_network(tmp_path):
    port = free_port()
    both = [started(tmp_path, rank, port, "--json") for rank in (0, 1)]
    found = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], found
    assert json.loads(found[0][0])["config"]["num_nodes"] == 2
    assert found[1][0] == ""  # the first one speaks
    assert (tmp_path / "out-0" / "checkpoints" / "last.ckpt").is_file()
    assert not list((tmp_path / "out-1").rglob("*.ckpt"))
