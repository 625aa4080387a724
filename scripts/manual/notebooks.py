"""The notebooks, copied into the manual with the links that lead to its pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

__all__ = ["notebook_pages"]

INDEX = """# Notebooks

Each is a story of a few cells, run in a minute or three on two cores. They are shown here as they
were last executed; `make notebooks` executes them again, and a notebook whose code was changed
since fails the tests.

```{{toctree}}
:maxdepth: 1

{names}
```
"""


def notebook_pages(folder: Path) -> dict[str, str]:
    """The notebooks and their list, by their paths in docs/.

    Parameters
    ----------
    folder : Path
        Of the executed notebooks.
    """
    paths = sorted(folder.glob("*.ipynb"))
    pages = {f"notebooks/{path.name}": _moved(path.read_text(encoding="utf-8")) for path in paths}
    return {"notebooks/index.md": INDEX.format(names="\n".join(p.stem for p in paths)), **pages}


def _moved(text: str) -> str:
    """The notebook as one of docs/notebooks: what lay in ``../docs`` lies in ``..`` there."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(r"\]\(\.\./docs/", "](../", "".join(cell["source"]))
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
