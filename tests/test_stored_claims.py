"""What the stored results claim is what the code says of their numbers."""

from dataclasses import asdict
from pathlib import Path

import pytest

from odemom.experiments.frame import load
from odemom.records.values import from_json
from odemom.reproduce.run import read_payload

RESULTS = Path(__file__).parents[1] / "docs" / "results"


@pytest.mark.parametrize(
    "path", sorted(RESULTS.glob("**/*.json")), ids=lambda path: "-".join(path.parts[-2:])
)
def test_claims_follow_from_the_stored_numbers(path):
    payload = read_payload(path)
    experiment = load(payload["experiment"])
    result = from_json(experiment.result_type, payload["result"], "result")
    assert [asdict(claim) for claim in experiment.claims(result)] == payload["claims"]
