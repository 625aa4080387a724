"""The check-up names what is missing, old, broken, crashing or hanging, and the command for it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from odemom.doctor import checkup, machine, packages
from odemom.doctor.packages import Package, fits, required
from odemom.doctor.trial import Answer, ask

BROKEN = {
    "wellmade": "",
    "halfmade": "raise ImportError('libhalf.so: cannot open\\n  shared object file')",
    "leaving": "import sys\nsys.exit(3)",
    "crashing": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "signalled": "import os\nos.kill(os.getpid(), 40)",
    "chatty": "print('hello', flush=True)",
}


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """A folder of installed packages, most of them broken."""
    folder = tmp_path_factory.mktemp("stubs")
    for name, source in BROKEN.items():
        (folder / f"{name}.py").write_text(source)
        info = folder / f"{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    return folder


@pytest.fixture
def asked(stubs, monkeypatch):
    """Let odemom ask for these packages, and decide its matrices well."""
    monkeypatch.syspath_prepend(stubs)

    def answers(questions):
        return {**ask([q for q in questions if q != "decides"]), "decides": Answer()}

    monkeypatch.setattr(checkup, "ask", answers)

    def call(**extras: dict[str, str]) -> checkup.Diagnosis:
        monkeypatch.setattr(checkup, "required", lambda: extras)
        return checkup.check_up()

    return call


def test_a_package_that_breaks_leaves_or_crashes_is_named_and_the_others_are_tried(
    stubs, monkeypatch
):
    monkeypatch.syspath_prepend(stubs)
    found = ask([*BROKEN, "never_installed"])
    assert list(found) == [*BROKEN, "never_installed"]
    assert found["wellmade"] == found["chatty"] == Answer()
    shown = f"ImportError: libhalf.so: cannot open shared object file (of {stubs / 'halfmade.py'})"
    assert found["halfmade"].error == shown
    assert found["leaving"].error == f"SystemExit: 3 (of {stubs / 'leaving.py'})"
    assert found["crashing"].error == "it crashes Python (SIGSEGV)"
    assert found["signalled"].error == "it crashes Python (signal 40)"
    assert "No module named 'never_installed'" in str(found["never_installed"].error)


def test_a_module_of_a_package_that_breaks_is_named_with_what_it_said(stubs, monkeypatch):
    (stubs / "brokenpack").mkdir()
    (stubs / "brokenpack" / "__init__.py").write_text("raise RuntimeError('no driver')")
    monkeypatch.syspath_prepend(stubs)
    assert ask(["brokenpack.part"])["brokenpack.part"].error == "RuntimeError: no driver"


def test_a_package_that_does_not_end_is_left(stubs, monkeypatch):
    (stubs / "endless.py").write_text("import time\ntime.sleep(60)")
    monkeypatch.syspath_prepend(stubs)
    found = ask(["wellmade", "endless"], seconds=1)
    assert found["endless"].error == "it does not end within 1 s"


def test_every_state_and_its_cure(asked):
    found = asked(
        core={"wellmade": ">=1.2"},
        torch={"halfmade": ""},
        plots={"wellmade": ">=1.6", "absent": ">=2"},
        sweep={"chatty": ""},
    )
    states = {f.extra: [p.state for p in f.packages] for f in found.features}
    assert states == {
        "core": ["works"],
        "torch": ["broken"],
        "plots": ["too old", "missing"],
        "sweep": ["installed"],
    }
    cures = {f.extra: f.cure for f in found.features}
    assert cures == {
        "core": "",
        "torch": "pip install --force-reinstall halfmade",
        "plots": "pip install --upgrade 'odemom[plots]'",
        "sweep": "",
    }
    assert found.core_works
    assert found.kernels.cpu == "none: odemom.nn cannot be used (PyTorch is not installed)"
    assert json.loads(json.dumps(found.to_dict()))["missing"][0]["packages"] == ["halfmade"]


@pytest.mark.parametrize("core", [{"crashing": ""}, {"absent": ""}, {"wellmade": ">=2"}])
def test_the_core_does_not_work_where_one_of_its_packages_does_not(asked, core):
    assert not asked(core=core).core_works


def test_a_package_without_metadata_is_there(asked, stubs):
    (stubs / "half-1.0.dist-info").mkdir()  # of an installation that broke off
    for name in ("copied", "half"):
        (stubs / f"{name}.py").write_text("")
    found = asked(core={"copied": ">=2", "half": ""})
    assert [package.version for package in found.features[0].packages] == ["unknown"] * 2
    assert found.core_works


def test_the_command_prints_it_and_leaves_with_its_status(asked, run, monkeypatch):
    monkeypatch.setattr(checkup, "required", lambda: {"core": {"absent": ">=2"}})
    code, out, err = run("doctor")
    assert (code, err) == (1, "")
    assert "absent         -            >=2        missing" in out
    assert out.endswith("    pip install --upgrade odemom\nThe core does not work.\n")
    monkeypatch.setattr(checkup, "required", lambda: {"core": {"wellmade": ""}})
    code, out, err = run("doctor", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["core_works"] is True


def test_a_wrong_decision_is_a_broken_core(stubs, monkeypatch):
    (stubs / "sitecustomize.py").write_text(
        "import odemom\nodemom.is_representable = lambda *_: True\n"
    )
    monkeypatch.syspath_prepend(stubs)
    assert ask(["decides"])["decides"].error == (
        "AssertionError: a Jordan block of size 2 is decided wrongly"
    )
    (stubs / "sitecustomize.py").unlink()


def test_what_is_asked_for_is_that_of_the_project():
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = required()
    assert [n + w for n, w in found["core"].items()] == project["dependencies"]
    extras = set(project["optional-dependencies"]) - packages.FOR_DEVELOPERS
    assert extras == set(found) - {"core"}
    assert {"core", "plots", "torch", "train", "sweep"} <= set(packages.FEATURES)
    assert found["train"].keys() == {"lightning", "torchvision", "scikit-learn", "tensorboard"}
    assert found["sweep"] == {
        "joblib": ">=1.4", "dask": ">=2024.5", "distributed": "", "pyyaml": ">=6",
    }  # fmt: skip


def test_without_a_checkout_the_metadata_are_read(monkeypatch):
    lines = [
        "NumPy>=1.26",
        "torch>=2.6 ; extra == 'torch'",
        'odemom[torch]; extra == "train"',
        'lightning>=2.4; python_version > "3" and extra == "train"',
        'torch>=2.6; extra == "train"',  # as some builders spell odemom[torch]
        'ruff==0.17.5; extra == "dev"',
    ]
    monkeypatch.setattr(packages, "_project", lambda path: None)
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: lines)
    expected = {"torch": {"torch": ">=2.6"}, "train": {"lightning": ">=2.4"}}
    assert required() == {"core": {"numpy": ">=1.26"}, **expected}


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("2.14.1", ">=2.6", True),
        ("2.5.9", ">=2.6", False),
        ("2.6", ">=2.6.0", True),
        ("2.6.0+cpu", ">=2.6", True),
        ("3.0", "==3", True),
        ("3.0.1", "==3.0", False),
        ("1.0", "", True),
    ],
)
def test_versions_are_compared_by_numbers(version, wanted, expected):
    assert fits(version, wanted) is expected
    assert Package("p", wanted, version).is_too_old is not expected


@pytest.mark.parametrize(
    ("answer", "compiler", "expected"),
    [
        (Answer({"library": None, "usable": None}), None, "there is no C compiler"),
        (Answer({"library": None, "usable": None}), "/bin/cc", "C, built at the first use"),
        (Answer({"library": "/a.so", "usable": None}), "/bin/cc", "C, fused, built already"),
        (Answer({"library": None, "usable": False}), "/bin/cc", "/bin/cc does not build step.c"),
        (Answer(error="ImportError: no"), "/bin/cc", "odemom.nn cannot be used (ImportError: no)"),
    ],
)
def test_the_kernel_in_use_is_said(monkeypatch, answer, compiler, expected):
    monkeypatch.setattr(machine, "_c_compiler", lambda: compiler)
    monkeypatch.setattr(machine, "_first_line", lambda path: None)
    found = machine.kernels(answer, triton=False)
    assert expected in found.cpu
    assert ("odemom.nn cannot be used" in found.cuda) is (answer.error is not None)


def test_a_cache_that_cannot_be_written_is_named_and_not_the_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_c_compiler", lambda: "/bin/cc")
    monkeypatch.setattr(machine, "_first_line", lambda path: None)
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("ODEMOM_CACHE", str(blocked / "cache"))
    for usable in (None, False):
        said = machine.kernels(Answer({"library": None, "usable": usable}), triton=False).cpu
        assert f"{blocked / 'cache'} cannot be written (Not a directory); set ODEMOM_CACHE" in said
    monkeypatch.setenv("ODEMOM_CACHE", "x" * 300)
    assert "cannot be written" in machine.kernels(Answer({}), triton=False).cpu
    monkeypatch.setenv("ODEMOM_CACHE", str(tmp_path / "new" / "cache"))
    assert "built at the first use" in machine.kernels(Answer({}), triton=False).cpu
    assert [*tmp_path.iterdir()] == [blocked]


def test_gpus_without_pytorch_are_those_of_nvidia_smi(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1a)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.machine(Answer(error="no")).gpus == ("NVIDIA H100 80GB HBM3",)
    tool.unlink()
    found = machine.machine(Answer(error="no"))
    assert found.gpus == ()
    assert "nobody has looked" in found.gpu_note
    assert found.usable_cores >= 1
    asked = machine.machine(Answer({"threads": 3, "gpus": ["A"], "cuda": "13.0"}))
    assert (asked.torch_threads, asked.gpus) == (3, ("A",))
