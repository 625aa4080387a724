"""The manual: Sphinx over the pages of this folder, and those that `scripts.manual` makes."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_extensions")]

import odemom
from scripts.manual import write
from scripts.manual.docstrings import add_hook

project = "odemom"
author = "The odemom developers"
release = version = odemom.__version__
copyright = "The odemom developers, MIT licence"

extensions = [
    "mathml",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["made/*", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

# Notebooks are shown as they were executed and committed.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# A link to a file that is no page, such as the numbers of a figure, becomes a download.
myst_url_schemes = ["http", "https", "mailto"]

# Docstrings are plain text: single backticks name objects, and link where a page has them.
default_role = "py:obj"
autodoc_typehints = "none"
autosummary_generate = True
autosummary_imported_members = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Commands and options in texts keep their two dashes.
smartquotes = False

html_theme = "pydata_sphinx_theme"
html_title = "odemom"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
linkcheck_timeout = 20
linkcheck_retries = 2


def setup(app):
    """Make the generated pages before the sources are looked for."""
    add_hook(app)
    app.connect("builder-inited", lambda app: write(ROOT))
