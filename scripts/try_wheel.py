"""Install a wheel into an empty environment and follow the manual there, as a new user would.

    python -m scripts.try_wheel dist/*.whl
    python -m scripts.try_wheel dist/*.whl --extra train --python python3.13

It prints what takes the room and how long ``import odemom`` takes; then runs ``odemom doctor`` and
every session, program and console block of README, tutorial and guides: sessions and consoles must
print what they show. What needs a package of an extra is left out, if it is not installed.
"""

from __future__ import annotations

import argparse
import doctest
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/index.md", "docs/tutorial.md", "docs/guides/*.md")
MEGA = 1e6
TIMES_AN_IMPORT = (
    "import time; t = time.perf_counter(); import odemom; print(time.perf_counter()-t)"
)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="Try a wheel in an empty environment.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--extra", default="")
    parser.add_argument("--into", type=Path, help="an environment that is kept")
    parser.add_argument("--sessions", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sessions is not None:
        sys.exit(sum(map(failures, asked.sessions)))
    with tempfile.TemporaryDirectory() as temporary:
        environment = (asked.into or Path(temporary) / "env").resolve()  # seen from other folders
        if not environment.exists():
            subprocess.run([asked.python, "-m", "venv", environment], check=True)
        binaries = environment / ("Scripts" if os.name == "nt" else "bin")
        target = f"{asked.wheel.resolve()}{f'[{asked.extra}]' if asked.extra else ''}"
        subprocess.run([binaries / "pip", "install", "--quiet", target], check=True)
        tell_sizes(binaries)
        try_out(binaries, Path(temporary))


def tell_sizes(binaries: Path) -> None:
    """Print what was installed takes, with and without the bytecode that pip writes."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(output([binaries / "python", "-c", where]).strip())
    sizes: dict[str, int] = {}
    bytecode = 0
    for file in packages.rglob("*"):
        name = file.relative_to(packages).parts[0]
        if file.is_file() and not name.startswith(("pip", "setuptools")):
            size = file.stat().st_size
            sizes[name] = sizes.get(name, 0) + size
            bytecode += size if file.suffix == ".pyc" else 0
    total = sum(sizes.values())
    print(f"{total / MEGA:.0f} MB, of which bytecode {bytecode / MEGA:.0f} MB")
    for name in sorted(sizes, key=lambda name: -sizes[name])[:10]:
        print(f"  {sizes[name] / MEGA:6.1f}  {name}")


def try_out(binaries: Path, folder: Path) -> None:
    """Time the import, see the doctor, and follow the pages."""
    python = binaries / "python"
    # From a folder of its own: the checkout must not be what is imported.
    times = [float(output([python, "-c", TIMES_AN_IMPORT], folder)) for _ in range(7)]
    print(f"import odemom: {statistics.median(times):.3f} s, the median of {len(times)}")
    print(output([binaries / "odemom", "doctor"], folder))
    pages = [str(page) for pattern in PAGES for page in sorted(ROOT.glob(pattern))]
    command = [python, __file__, "-", "--sessions", *pages]
    place = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    place.pop("PYTHONPATH", None)
    failed = subprocess.run(command, cwd=folder, env=place, check=False).returncode
    sys.exit(f"{failed} of the pages do not print what they show" if failed else 0)


def output(command: list[str | Path], folder: Path | None = None) -> str:
    """What a command prints; a failure ends the script."""
    place = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=place, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def failures(page: str) -> bool:
    """Whether a page prints something else than it shows, in the Python that runs this."""
    text = Path(page).read_text(encoding="utf-8")
    session = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, page, page, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    lacking = [_lacks_a_package(example.source) for example in session.examples]
    if True in lacking:
        del session.examples[lacking.index(True) :]
    if session.examples:
        runner.run(session)
    failed = bool(runner.failures)
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    programs = [program for program in programs if not _lacks_a_package(program)]
    names: dict[str, object] = {"__name__": "__main__"}
    for program in programs:
        try:
            exec(compile(program, page, "exec"), names)
        except Exception:
            traceback.print_exc()
            failed = True
    consoles = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    for command, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", consoles, re.MULTILINE):
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, check=False)
        if done.stdout != shown:
            print(f"{page}: {command}\nshows\n{shown}prints\n{done.stdout}")
            failed = True
    ran = f"{len(session.examples)} examples, {len(programs)} programs"
    print(f"{page}: {ran}, {'FAILED' if failed else 'as shown'}")
    return failed


def _lacks_a_package(source: str) -> bool:
    """Whether a program imports what is not installed."""
    names = set(re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE))
    names |= {"torch"} if "odemom.nn" in source else set()
    return any(importlib.util.find_spec(name) is None for name in names)


if __name__ == "__main__":
    main()
