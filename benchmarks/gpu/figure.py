"""Run one experiment without drawing it, and write its numbers as ``odemom reproduce`` does.

    python -m benchmarks.gpu.figure NAME '{"seeds": 2}' WORKERS OUT

Its pictures are drawn elsewhere: odemom reproduce --redraw OUT/NAME.json. An interrupted run goes
on where it was; what the workers finished lies in OUT/NAME.parts.jsonl.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from odemom.experiments import frame
from odemom.records import from_json, jsonable, write_json
from odemom.reproduce.run import payload_of


def main(name: str, settings: str, workers: str, out: str) -> None:
    """Compute, write, and say the claims."""
    experiment, folder = frame.load(name), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    fields = jsonable(experiment.config()) | json.loads(settings)
    config = from_json(experiment.config, fields)
    backend = {"backend": "joblib", "workers": int(workers)} if int(workers) > 1 else {}
    finished = experiment.carry_out(config, folder=folder, **backend)
    write_json(folder / f"{name}.json", payload_of(experiment, config, finished))
    for claim in experiment.claims(finished.result):
        print(f"{claim.verdict}: {claim.words}: {claim.measured}")


if __name__ == "__main__":
    main(*sys.argv[1:])
