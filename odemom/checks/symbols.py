"""One symbol a thing: the words of a report as the symbols of the paper."""

from __future__ import annotations

import re
from html import escape

__all__ = ["as_html", "in_symbols"]

WORDS = (
    (r"\blambda_eps\b", "λ_ε"),
    (r"\btheta\b", "θ"),
    (r"\beps\b", "ε"),
    (r"\binf\b", "∞"),
    (r"\bpsi\b", "ψ"),
    (r"x''", "x″"),
    (r"x'", "x′"),
    (r"(?<![\w.])-(?=\d)", "−"),
)


def in_symbols(text: str) -> str:
    """The text with Greek letters, primes and minus signs.

    Examples
    --------
    >>> in_symbols("-1 lies below lambda_eps = -0.38, for eps x'' + x' = theta x at eps = inf")
    '−1 lies below λ_ε = −0.38, for ε x″ + x′ = θ x at ε = ∞'
    """
    for word, symbol in WORDS:
        text = re.sub(word, symbol, text)
    return text


def as_html(text: str) -> str:
    """The text in symbols as HTML, with what HTML would read as marks escaped.

    Examples
    --------
    >>> as_html("-1 < lambda_eps")
    '−1 &lt; λ<sub>ε</sub>'
    """
    return escape(in_symbols(text)).replace("λ_ε", "λ<sub>ε</sub>")
