"""One format in a process of its own, which a crash may end: started by ``python -m tests.fuzz``.

Arguments: the format, the seconds, the engine ("atheris" or "mutations"), a folder for finds, the
seed. The last line of what it prints is the number of executions.
"""

from __future__ import annotations

import importlib
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

__all__: list[str] = []

SLOW = 10  # seconds for one input


def by_mutations(suffix: str, seconds: float, folder: Path, seed: int) -> None:
    """Inputs are written before they are read: after a crash the last one lies in the folder."""
    from tests.fuzz.mutations import mutated
    from tests.fuzz.properties import check, corpus_of

    rng, seeds = random.Random(seed), corpus_of(suffix)
    pool = list(seeds)
    last, runs, read = folder / f"last.{suffix}", 0, 0
    check(suffix, seeds[0])  # loads what the reader loads, uncounted
    signal.signal(signal.SIGALRM, _too_slow)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        content = mutated(rng.choice(pool), seeds, rng)
        last.write_bytes(content)
        signal.alarm(SLOW)
        try:
            if check(suffix, content):
                read += 1
                if len(pool) < 500:
                    pool.append(content)
        except Exception:
            (folder / f"find-{runs}.{suffix}").write_bytes(content)
            raise
        finally:
            signal.alarm(0)
        runs += 1
    last.unlink(missing_ok=True)
    print(f"{runs} executions, {read} of them matrices")


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"an input took more than {SLOW} s")


def by_coverage(suffix: str, seconds: float, folder: Path, seed: int) -> None:
    """Coverage of odemom's own readers guides libFuzzer, which starts from the corpus."""
    atheris: Any = importlib.import_module("atheris")
    ours = ["odemom.matrix_files", "odemom.checks", "odemom.explore"]
    with atheris.instrument_imports(include=ours):
        from tests.fuzz import properties

    found = folder / "corpus"
    found.mkdir(exist_ok=True)
    limits = f"-max_total_time={int(seconds)} -timeout={SLOW} -rss_limit_mb=8192 -max_len=8192"
    options = [*limits.split(), f"-seed={seed}", "-print_final_stats=1"]
    options.append(f"-artifact_prefix={folder}/find-")
    folders = [str(found), str(properties.CORPUS / suffix)]
    properties.check(suffix, properties.corpus_of(suffix)[0])  # loads what readers load, uncounted

    def one_input(data: bytes) -> None:
        properties.check(suffix, data)

    atheris.Setup([sys.argv[0], *options, *folders], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    chosen, duration, engine, finds, start = sys.argv[1:]
    run = by_coverage if engine == "atheris" else by_mutations
    run(chosen, float(duration), Path(finds), int(start))
