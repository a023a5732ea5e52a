"""Pages of the pictures of a load: panels over one time axis, with words around them.

Called by `picture`, which draws one run, and by the benchmark that draws two beside each other.
"""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dlagent.bench.result import Counts, Floats, Timeline
from dlagent.bench.words import clock, milliseconds
from dlagent.report.style import GATE, INK, dress

FILL, BLUE = "#c9ced6", "#1f6fb4"

_WIDTH_INCHES, _PANEL_INCHES, _LINE_INCHES = 11.0, 2.3, 0.21
_HEAD_INCHES, _FOOT_INCHES = 0.95, 0.68
_LINE_LETTERS = 150  # that fit beside each other


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph in lines that fit on the page; `indent` is of those after the first."""
    return fill(text, _LINE_LETTERS, subsequent_indent=indent)


def panels(count: int, title: str, summary: str, below: str) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels under each other, and room for the lines of `below`."""
    foot = _FOOT_INCHES + _LINE_INCHES * len(below.splitlines())
    height = _HEAD_INCHES + count * _PANEL_INCHES + foot
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=130, facecolor="white")
    axes: list[Axes] = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0].tolist()
    figure.subplots_adjust(
        left=0.085, right=0.975, top=1 - _HEAD_INCHES / height, bottom=foot / height, hspace=0.33
    )
    figure.text(0.02, 1 - 0.13 / height, title, fontsize=14, fontweight="bold", va="top")
    figure.text(0.02, 1 - 0.42 / height, summary, fontsize=10, va="top", color=INK)
    figure.text(0.02, 0.1 / height, below, fontsize=8.5, va="bottom", color=INK, linespacing=1.35)
    return figure, axes


def finish(axes: Sequence[Axes], end_seconds: float) -> None:
    """Titles, grids and legends of panels that have been drawn, and their common time axis."""
    for axis in axes:
        dress(axis)
        axis.title.set(fontsize=10.5, fontweight="bold", color=INK, ha="left", x=0.0)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
        axis.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 1.5, 3, 6, 10], integer=True))
        axis.legend(
            loc="lower right", bbox_to_anchor=(1.0, 0.985), ncols=4, fontsize=8.5, frameon=False
        )
    axes[-1].set_xlim(0, end_seconds or 1.0)
    axes[-1].set_xlabel("minutes since the load began")


def stairs(timeline: Timeline, counts: Counts) -> tuple[Floats, Floats]:
    """The edges of the steps in seconds and the rates in them, the last one closed."""
    edges = np.append(timeline.seconds, len(counts) * timeline.step_seconds)
    rates = counts / timeline.step_seconds
    return edges, np.append(rates, rates[-1:] if len(rates) else [0.0])


def promise(axis: Axes, slo_seconds: float) -> None:
    """A line at the threshold."""
    axis.axhline(
        slo_seconds,
        color=GATE,
        linestyle="--",
        linewidth=1.3,
        label=f"promised: {milliseconds(slo_seconds)}",
    )


def scale_of_latency(axis: Axes, values: Sequence[Floats]) -> None:
    """A logarithmic axis with a decade at least, whose ticks are written as times."""
    axis.set_yscale("log")
    known = np.concatenate(values)
    known = known[np.isfinite(known) & (known > 0)]
    low, high = (known.min(), known.max()) if known.size else (0.01, 0.1)
    axis.set_ylim(min(low / 1.5, high / 15), high * 1.8)
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
    axis.yaxis.set_minor_formatter(NullFormatter())


def scale_of_replicas(axis: Axes, most: int) -> None:
    """From none to the most that there were, in whole numbers."""
    axis.set_title("Replicas")
    axis.set_ylim(0, most + 1.2)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
