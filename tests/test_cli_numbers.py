"""Numbers of options are spelt as everywhere: digits of no other script, and no underscores."""

from __future__ import annotations

from typing import get_args

import pytest
from typer.models import ParameterInfo

from odemom.cli import app

COMMANDS = {
    c.callback: c.name or c.callback.__name__ for c in app.registered_commands if c.callback
}


def numeric_options():
    """The command and one name of each option that is an integer or a float."""
    for function, command in COMMANDS.items():
        for parameter, annotation in function.__annotations__.items():
            kind, *notes = get_args(annotation) or (annotation,)
            kinds = {kind, *get_args(kind)} & {int, float}
            info = next((n for n in notes if isinstance(n, ParameterInfo)), None)
            if kinds and info is not None:
                names = [n for n in info.param_decls or () if n.startswith("--")]
                yield command, names[0] if names else "--" + parameter.replace("_", "-")
            else:
                assert not kinds, f"{command}: {parameter} has no option that is read by us"


OPTIONS = sorted(set(numeric_options()))


def test_there_are_numeric_options():
    assert ("check", "--depth") in OPTIONS
    assert len(OPTIONS) >= 20


TEXTS = ["1_0", "\u0663", "1 0", "ten"]


@pytest.mark.parametrize(
    ("command", "option", "text"),
    [
        pytest.param(*each, text, marks=[] if (n + k) % 2 == 0 else pytest.mark.slow)
        for n, each in enumerate(OPTIONS)
        for k, text in enumerate(TEXTS)
    ],
)
def test_what_only_python_reads_as_a_number_is_refused(command, option, text, run):
    code, _, err = run(command, option, text)
    assert code == 2
    assert f"{text!r} is not a valid" in err
    assert option in err


def test_a_number_is_read_with_its_sign_and_blanks(run):
    assert run("check", "[1]", "--depth", " +3 ")[0] == 0
    assert run("check", "[1]", "--depth", "\u22123")[0] == 2  # a minus as it is printed
    assert run("check", "[1]", "--depth", "9" * 5000)[0] == 2


def test_a_number_of_thousands_of_digits_is_bad_input(run, tmp_path):
    code, out, err = run("survey", "--dim", "9" * 5000, "--out", str(tmp_path / "out"))
    assert (code, out, list(tmp_path.iterdir())) == (2, "", [])
    assert "error: dimensions: got" in err


def test_the_digits_of_lambda_are_what_its_help_says(run):
    code, out, _ = run("lambda", "--help")
    assert (code, "from 1 to 100000" in " ".join(out.replace("│", " ").split())) == (0, True)
    code, _, err = run("lambda", "1", "--dps", "100001")
    assert (code, "an integer from 1 to 100000" in " ".join(err.split())) == (2, True)
