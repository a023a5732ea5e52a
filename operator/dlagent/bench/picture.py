"""A picture of one run that explains itself: load, latency, failures, and replicas where given.

Called by `dlagent bench --plot` and by the demo. matplotlib is imported by this module alone.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from dlagent.bench.result import Counts, Floats, Timeline
from dlagent.bench.words import clock, milliseconds

_WIDTH_INCHES, _PANEL_INCHES, _NOTE_INCHES = 11.0, 2.3, 0.21
_HEAD_INCHES, _FOOT_INCHES = 0.95, 1.1
_LINE_LETTERS = 150  # that fit beside each other

_INK, _PALE, _BLUE, _RED = "#30343b", "#c9ced6", "#1f6fb4", "#c0392b"
_LATENCIES = (("p50", "#7fb2dd"), ("p95", "#3d85c6"), ("p99", _INK))
_HOW_TO_READ = (
    "Requests were sent at scheduled times, whatever became of those before. Latency counts from "
    "when a request was due, and stands above the second in which it was due. p99: 99 of 100 "
    "requests were answered faster."
)

Replicas = tuple[float, int, int]  # seconds, ready, desired
Note = tuple[float, str]  # seconds, what was decided and why


def draw(
    path: Path,
    title: str,
    timeline: Timeline,
    slo_seconds: float | None,
    summary: str = "",
    replicas: Sequence[Replicas] = (),
    notes: Sequence[Note] = (),
) -> None:
    """Write the PNG.

    Args:
        path: where to.
        title: what was measured.
        timeline: the run; steps of some seconds make a long one readable.
        slo_seconds: the threshold of the promise, drawn as a line.
        summary: a line below the title, such as the figures of the whole run.
        replicas: what was seen of them, by time, in seconds since the load began.
        notes: decisions, by time; numbered in the picture and written out below it.
    """
    end = max([len(timeline.offered) * timeline.step_seconds, *(seen[0] for seen in replicas)])
    panels = [_load, _latency]
    panels += [_failures] if timeline.failed.any() else []
    count = len(panels) + bool(replicas)
    foot = _FOOT_INCHES + _NOTE_INCHES * len(_written(notes).splitlines())
    height = _HEAD_INCHES + count * _PANEL_INCHES + foot
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=130, facecolor="white")
    axes: list[Axes] = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0].tolist()
    figure.subplots_adjust(
        left=0.085, right=0.975, top=1 - _HEAD_INCHES / height, bottom=foot / height, hspace=0.33
    )
    for axis, panel in zip(axes, panels, strict=False):
        panel(axis, timeline, slo_seconds)
    if replicas:
        _replicas(axes[-1], [*replicas, (end, *replicas[-1][1:])])
    for axis in axes:
        _dress(axis)
    _mark(axes, notes)
    _words(figure, height, title, summary, notes)
    axes[-1].set_xlim(0, end or 1.0)
    axes[-1].set_xlabel("minutes since the load began")
    figure.savefig(path, format="png")


def _load(axis: Axes, timeline: Timeline, _slo_seconds: float | None) -> None:
    edges, offered = _stairs(timeline, timeline.offered)
    _, answered = _stairs(timeline, timeline.answered)
    axis.fill_between(edges, offered, color=_PALE, step="post", label="offered")
    axis.step(edges, answered, _BLUE, where="post", label="answered")
    axis.set_title("Load, requests a second")
    axis.set_ylim(bottom=0)


def _stairs(timeline: Timeline, counts: Counts) -> tuple[Floats, Floats]:
    """The edges of the steps and the rates in them, the last one closed."""
    edges = np.append(timeline.seconds, len(counts) * timeline.step_seconds)
    rates = counts / timeline.step_seconds
    return edges, np.append(rates, rates[-1:] if len(rates) else [0.0])


def _latency(axis: Axes, timeline: Timeline, slo_seconds: float | None) -> None:
    middle = timeline.seconds + timeline.step_seconds / 2
    columns = (timeline.p50_seconds, timeline.p95_seconds, timeline.p99_seconds)
    for (name, colour), values in zip(_LATENCIES, columns, strict=True):
        # Points too: a step between two without answers is on no line.
        axis.plot(middle, values, "o-", color=colour, label=name, markersize=2.2, linewidth=1.4)
    axis.set_yscale("log")
    if slo_seconds is not None:
        axis.axhline(
            slo_seconds,
            color=_RED,
            linestyle="--",
            linewidth=1.3,
            label=f"promised: {milliseconds(slo_seconds)}",
        )
        for step in np.flatnonzero(_missed(timeline, slo_seconds)):
            begin = step * timeline.step_seconds
            axis.axvspan(begin, begin + timeline.step_seconds, color=_RED, alpha=0.08, linewidth=0)
    _scale(axis, [*columns, np.array([slo_seconds or np.nan])])
    axis.set_title("Latency" + (" (red: p99 misses the promise)" if slo_seconds else ""))


def _missed(timeline: Timeline, slo_seconds: float) -> NDArray[np.bool_]:
    """Steps whose p99 is beyond the promise, or in which requests failed and none was answered."""
    silent = np.isnan(timeline.p99_seconds) & (timeline.failed > 0)
    return silent | (np.nan_to_num(timeline.p99_seconds) > slo_seconds)


def _scale(axis: Axes, values: Sequence[Floats]) -> None:
    """A logarithmic axis with a decade at least, whose ticks are written as times."""
    known = np.concatenate(values)
    known = known[np.isfinite(known) & (known > 0)]
    low, high = (known.min(), known.max()) if known.size else (0.01, 0.1)
    axis.set_ylim(min(low / 1.5, high / 15), high * 1.8)
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _failures(axis: Axes, timeline: Timeline, _slo_seconds: float | None) -> None:
    edges, rates = _stairs(timeline, timeline.failed)
    axis.fill_between(edges, rates, color=_RED, step="post", label="failed")
    axis.set_title(f"Failures a second ({timeline.failed.sum():,} in all)")
    axis.set_ylim(bottom=0)


def _replicas(axis: Axes, replicas: Sequence[Replicas]) -> None:
    times, ready, desired = zip(*replicas, strict=True)
    axis.fill_between(times, ready, color=_BLUE, alpha=0.35, step="post", label="ready")
    axis.step(times, desired, _INK, where="post", linestyle="--", label="desired")
    axis.set_title("Replicas")
    axis.set_ylim(0, max(*ready, *desired) + 1.2)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))


def _dress(axis: Axes) -> None:
    axis.title.set(fontsize=10.5, fontweight="bold", color=_INK)
    axis.title.set_horizontalalignment("left")
    axis.title.set_x(0.0)
    axis.grid(color="#e8eaee", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=9, colors=_INK)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    axis.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 1.5, 3, 6, 10], integer=True))
    axis.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.985), ncols=4, fontsize=8.5, frameon=False
    )


def _mark(axes: Sequence[Axes], notes: Sequence[Note]) -> None:
    """A line through all panels for each note, with its number in the lowest."""
    for number, (seconds, _) in enumerate(notes, 1):
        for axis in axes:
            axis.axvline(seconds, color=_INK, linewidth=0.7, linestyle=":")
        axes[-1].annotate(
            str(number),
            (seconds, 0.97),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=8,
            color="white",
            bbox={"boxstyle": "circle,pad=0.22", "facecolor": _INK, "edgecolor": "none"},
        )


def _words(figure: Figure, height: float, title: str, summary: str, notes: Sequence[Note]) -> None:
    figure.text(0.02, 1 - 0.13 / height, title, fontsize=14, fontweight="bold", va="top")
    figure.text(0.02, 1 - 0.42 / height, summary, fontsize=10, va="top", color=_INK)
    parts = (_written(notes), fill(_HOW_TO_READ, _LINE_LETTERS))
    below = "\n\n".join(part for part in parts if part)
    figure.text(0.02, 0.1 / height, below, fontsize=8.5, va="bottom", color=_INK, linespacing=1.35)


def _written(notes: Sequence[Note]) -> str:
    return "\n".join(
        fill(f"{number}  at {clock(seconds)}  {text}", _LINE_LETTERS, subsequent_indent="      ")
        for number, (seconds, text) in enumerate(notes, 1)
    )
