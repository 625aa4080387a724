"""The peer of benchmarks.explore: the same answers on a page of marimo, in its app mode.

Run with a port. The slider goes through masses, and the page shows all parts of the answer.
"""

# pyright: reportMissingImports=false
# marimo comes with the extra bench.

import json
import os
import sys

import marimo

app = marimo.App(width="full")

with app.setup:
    import json
    import os

    import marimo as mo

    from odemom.explore.words import respond

    rows = json.loads(os.environ["ODEMOM_BENCHMARK_MATRIX"])
    masses = json.loads(os.environ["ODEMOM_BENCHMARK_EPS"])


@app.cell
def _():
    slider = mo.ui.slider(start=0, stop=len(masses) - 1, value=0, label="eps", full_width=True)
    mo.output.replace(slider)
    return (slider,)


@app.cell
def _(slider):
    asked = {"matrix": rows, "eps": masses[slider.value]}
    answer = respond("answer", asked)
    parts = answer["parts"] | respond("motion", asked)["parts"]
    said = "".join(parts.values())
    mo.Html(f'<p id="about">{masses[slider.value]}: {answer["headline"]}</p>{said}')


def main() -> None:
    """Serve the page on a port, with nothing but what an app needs."""
    import uvicorn

    page = marimo.create_asgi_app(quiet=True).with_app(path="/", root=__file__).build()
    uvicorn.run(page, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")


if __name__ == "__main__":
    assert json.loads(os.environ["ODEMOM_BENCHMARK_EPS"])
    main()
