"""Formulas as MathML, which browsers draw by themselves: the manual loads no script for them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

__all__ = ["setup"]

LOGGER = logging.getLogger(__name__)
# TeX sets a thin space before a function's name, and after it where no bracket follows.
BEFORE = re.compile(r"(</m(?:i|n|sup|sub|subsup|frac)>)(?=\s*<mi>[a-z]{2,6}</mi>)")
AFTER = re.compile(r"(<mo>&ApplyFunction;</mo>)(?=\s*<m(?!o))")
THIN = r'\1<mspace width="0.167em"></mspace>'


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of it."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, block: bool) -> str:
    """The formula; one that docutils cannot read is a warning, and so stops the build."""
    try:
        text = latex2mathml.tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        LOGGER.warning("%s in the formula %s", error, node.astext(), location=node)
        return ""
    return AFTER.sub(THIN, BEFORE.sub(THIN, text))
