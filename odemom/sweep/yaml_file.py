"""YAML as version 1.2 reads it: what looks like a number is that number, and no key comes twice.

PyYAML reads version 1.1, where ``1e-3`` is text, ``1_0`` is 10, ``1:30`` is 90, ``010`` is 8,
``no`` is false, and of two equal keys the last one counts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from odemom.checks import invalid, optional_import

__all__ = ["read_yaml"]

PREFIX = "tag:yaml.org,2002:"
LARGEST = 2**20
"""Bytes of a file."""

SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
"""The core schema's scalars that are no text: what they look like, and how they may begin."""


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, by the core schema of YAML 1.2.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    InvalidInputError
        If the file cannot be read, is no YAML, has a key twice or is larger than a megabyte.
    MissingDependencyError
        If PyYAML is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sweep.yaml"
    ...     _ = path.write_text("learning_rate: [1e-3, 010, 1_0, no]")
    ...     read_yaml(path)
    {'learning_rate': [0.001, 10, '1_0', 'no']}
    """
    yaml = optional_import("yaml", "sweep")
    expected = "a YAML file"
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise invalid("file", got=f"{path} ({error.strerror})", expected=expected) from None
    if len(content) > LARGEST:
        raise invalid("file", got=f"{path}, over {LARGEST} bytes", expected=expected)
    try:
        return yaml.load(content.decode("utf-8"), _loader(yaml))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        words = " ".join(str(error).replace('"<unicode string>", ', "").split())[:200]
        raise invalid("file", got=f"{path}: {words}", expected=expected) from None


def _loader(yaml: Any) -> Any:
    class Loader(yaml.SafeLoader):
        """PyYAML's safe loader with the scalars of version 1.2."""

        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            mapping = super().construct_mapping(node, deep=deep)
            if len(mapping) < len(node.value):
                keys = [self.construct_object(key, deep=True) for key, _ in node.value]
                twice = next(key for key in keys if keys.count(key) > 1)
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {twice!r} comes twice", node.start_mark
                )
            return mapping

    for tag, (pattern, first) in SCALARS.items():
        Loader.add_implicit_resolver(f"{PREFIX}{tag}", re.compile(rf"(?:{pattern})\Z"), first)
    Loader.add_constructor(f"{PREFIX}int", lambda _, node: int(node.value))
    return Loader
