"""The Pareto picture of the benchmark `scaler`: a panel for each case at the centre."""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.scaler_study.figures import Result
from dlagent.replay.frontier import frontier
from dlagent.report.style import GATE, INK, dress

_COLUMNS, _WIDTH_INCHES, _ROW_INCHES, _DPI = 3, 11.0, 2.6, 130
_HEAD_INCHES, _FOOT_INCHES = 0.8, 0.75
_LINE_LETTERS = 150
_OURS, _BASELINES = "#009e73", "#0072b2"  # Okabe and Ito, "Color Universal Design" (2008)
_LEAST_SPENT = 0.01  # of the error budget: less stands at the edge
_HOW_TO_READ = (
    "Down is cheaper: replica-hours over those of the cheapest plan known in hindsight, which is at"
    " 1. Right of the dashed line the objective is not kept. Less than 1 % of the error budget"
    " stands at the left edge. Star: the operator. Dots: each setting of each baseline, the line"
    " joins the best of them. Means over the seeds."
)


def draw(path: Path, results: Sequence[Result]) -> None:
    """Write the PNG, of cases that have not the same name."""
    rows = math.ceil(len(results) / _COLUMNS)
    height = rows * _ROW_INCHES + _HEAD_INCHES + _FOOT_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, facecolor="white")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel().tolist()
    figure.subplots_adjust(
        left=0.06,
        right=0.98,
        top=1 - _HEAD_INCHES / height,
        bottom=(_FOOT_INCHES + 0.45) / height,
        hspace=0.55,
        wspace=0.22,
    )
    for axis, result in zip(panels, results, strict=False):
        _panel(axis, result)
    for axis in panels[len(results) :]:
        axis.remove()
    title = "Replica-hours over the oracle's, by how much of the error budget was spent"
    figure.text(0.02, 1 - 0.12 / height, title, fontsize=13, fontweight="bold", va="top")
    words = fill(_HOW_TO_READ, _LINE_LETTERS)
    figure.text(0.02, 0.1 / height, words, fontsize=8.5, va="bottom", color=INK)
    figure.savefig(path, format="png")


def _panel(axis: Axes, result: Result) -> None:
    budget = 1 - result.case.manifest.objective

    def spent(attained: float) -> float:
        return max(_LEAST_SPENT, (1 - attained) / budget)

    points = result.points
    hull = frontier(points)
    axis.plot(
        [spent(each.attained) for each in points],
        [each.cost for each in points],
        "o",
        color=_BASELINES,
        ms=3.5,
        alpha=0.3,
    )
    axis.plot(
        [spent(each.attained) for each in hull],
        [each.cost for each in hull],
        "o-",
        color=_BASELINES,
        ms=4.5,
    )
    ours = result.against_oracle.ratio
    axis.plot([spent(result.attained)], [ours], "*", color=_OURS, ms=15, zorder=5)
    axis.plot([1.0], [1.0], "d", color=GATE, ms=7, zorder=4)
    axis.axvline(1, color=GATE, linestyle="--", linewidth=1.2)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(left=_LEAST_SPENT * 0.8)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    dress(axis)
    axis.set_title(
        f"{result.case.name}: {result.against_baselines.ratio:.3f}",
        fontsize=10.5,
        fontweight="bold",
        color=INK,
        loc="left",
    )
