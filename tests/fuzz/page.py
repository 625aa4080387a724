"""What the explorer's server may be sent: an answer that is whole, or one sentence.

The verdict is checked against the library on the same numbers; pictures are well-formed XML
without a number that is none; nothing that was typed comes back as markup.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree

import odemom
from odemom.explore.question import question_of
from odemom.explore.words import respond

__all__ = ["check"]

PARTS = {"why", "facts", "witness", "threshold", "plane", "complex", "line", "net-caption"}


def check(content: bytes) -> bool:
    """Answer a body as the server does; whether it was a question.

    Raises
    ------
    AssertionError
        If the answer is not as it should be. Any other exception is a find.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return False  # the server refuses it before anything reads it
    answer = respond("answer", fields)
    json.dumps(answer, allow_nan=False)
    if "error" in answer:
        assert "\n" not in answer["error"], "a message of several lines"
        assert len(answer["error"]) < 1000, "a message of more than a thousand characters"
        return False
    question = question_of(fields)
    if answer["verdict"] != "borderline":
        expected = odemom.is_representable(question.given, question.eps)
        assert answer["verdict"] == ("yes" if expected else "no"), "another verdict"
    parts = answer["parts"] | respond("motion", fields)["parts"]
    assert parts.keys() >= PARTS | {"paths", "net"}, "a part is missing"
    for name, html in parts.items():
        if html.startswith("<svg"):
            assert not {"nan", "inf"} & set(html.replace('"', " ").split()), f"a nan in {name}"
        ElementTree.fromstring(f"<div>{html}</div>")
    return True
