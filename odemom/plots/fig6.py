"""Figure 6 of the paper, drawn from its numbers: gamma at test time, and four architectures."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odemom.experiments._spread import deviation
from odemom.experiments.fig6 import KINDS, Gammas
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

SHADES = (COLORS["vermilion"], COLORS["orange"], COLORS["blue"], COLORS["sky"], COLORS["purple"])
LOOKS: dict[str, str] = dict(
    zip(
        KINDS,
        (COLORS["vermilion"], COLORS["blue"], COLORS["sky"], COLORS["green"]),
        strict=True,
    )
)


def draw(data: Gammas) -> Figure:
    """Accuracy by the gamma at test time, without and with refit; learning curves on the right.

    Parameters
    ----------
    data : Gammas

    Returns
    -------
    matplotlib.figure.Figure
        8.4 by 2.9 inches.
    """
    with shared_style():
        figure = new_figure(8.4, 2.9)
        bare, refit, curves = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
        refit.sharey(bare)  # before anything is drawn, so that both have room for both
        places = np.arange(len(data.tested))
        for axes, refitted in ((bare, False), (refit, True)):
            for n, gamma in enumerate(data.trained):
                values = 100 * data.accuracies(gamma, refitted=refitted)
                spread = deviation(values, 1)
                axes.errorbar(
                    places, values.mean(axis=1), spread, color=SHADES[n % len(SHADES)],
                    marker="o", ms=4, capsize=2, label=f"{gamma:g}",
                )  # fmt: skip
            axes.set(xticks=places, xticklabels=[f"{g:g}" for g in data.tested])
            axes.set_xlabel(r"$\gamma$ at test time")
        bare.set_ylabel(f"test accuracy, %, {data.source}")
        bare.set_title("as trained")
        refit.set_title(f"after {data.refit_epochs} epochs of refit")
        refit.legend(title=r"trained with $\gamma$", loc="lower center")
        for architecture in data.architectures:
            values = 100 * np.array([run.validation_accuracies for run in architecture.runs])
            epochs = np.arange(1, values.shape[1] + 1)
            color = LOOKS[architecture.kind]
            curves.fill_between(
                epochs, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, lw=0
            )
            curves.plot(epochs, values.mean(axis=0), ".-", color=color, label=architecture.kind)
        curves.set(xlabel="epoch", ylabel="validation accuracy, %")
        curves.set_title("equal numbers of parameters")
        curves.xaxis.set_major_locator(MaxNLocator(integer=True))
        curves.legend(loc="lower right")
    return figure
