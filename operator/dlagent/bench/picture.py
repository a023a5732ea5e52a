"""A picture of one run that explains itself: load, latency, failures, and replicas where given.

Called by `dlagent bench --plot` and by the demo. matplotlib is imported by this module and by
`page` alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from dlagent.bench import page
from dlagent.bench.result import Timeline
from dlagent.bench.words import clock
from dlagent.report.style import GATE, INK

_LATENCIES = (("p50", "#7fb2dd"), ("p95", "#3d85c6"), ("p99", INK))
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
    parts = (_written(notes), page.wrapped(_HOW_TO_READ))
    below = "\n\n".join(part for part in parts if part)
    figure, axes = page.panels(len(panels) + bool(replicas), title, summary, below)
    for axis, panel in zip(axes, panels, strict=False):
        panel(axis, timeline, slo_seconds)
    if replicas:
        _replicas(axes[-1], [*replicas, (end, *replicas[-1][1:])])
    page.finish(axes, end)
    _mark(axes, notes)
    figure.savefig(path, format="png")


def _load(axis: Axes, timeline: Timeline, _slo_seconds: float | None) -> None:
    edges, offered = page.stairs(timeline, timeline.offered)
    _, answered = page.stairs(timeline, timeline.answered)
    axis.fill_between(edges, offered, color=page.FILL, step="post", label="offered")
    axis.step(edges, answered, page.BLUE, where="post", label="answered")
    axis.set_title("Load, requests a second")
    axis.set_ylim(bottom=0)


def _latency(axis: Axes, timeline: Timeline, slo_seconds: float | None) -> None:
    middle = timeline.seconds + timeline.step_seconds / 2
    columns = (timeline.p50_seconds, timeline.p95_seconds, timeline.p99_seconds)
    for (name, colour), values in zip(_LATENCIES, columns, strict=True):
        # Points too: a step between two without answers is on no line.
        axis.plot(middle, values, "o-", color=colour, label=name, markersize=2.2, linewidth=1.4)
    if slo_seconds is not None:
        page.promise(axis, slo_seconds)
        for step in np.flatnonzero(_missed(timeline, slo_seconds)):
            begin = step * timeline.step_seconds
            axis.axvspan(begin, begin + timeline.step_seconds, color=GATE, alpha=0.08, linewidth=0)
    page.scale_of_latency(axis, [*columns, np.array([slo_seconds or np.nan])])
    axis.set_title("Latency" + (" (red: p99 misses the promise)" if slo_seconds else ""))


def _missed(timeline: Timeline, slo_seconds: float) -> NDArray[np.bool_]:
    """Steps whose p99 is beyond the promise, or in which requests failed and none was answered."""
    silent = np.isnan(timeline.p99_seconds) & (timeline.failed > 0)
    return silent | (np.nan_to_num(timeline.p99_seconds) > slo_seconds)


def _failures(axis: Axes, timeline: Timeline, _slo_seconds: float | None) -> None:
    edges, rates = page.stairs(timeline, timeline.failed)
    axis.fill_between(edges, rates, color=GATE, step="post", label="failed")
    axis.set_title(f"Failures a second ({timeline.failed.sum():,} in all)")
    axis.set_ylim(bottom=0)


def _replicas(axis: Axes, replicas: Sequence[Replicas]) -> None:
    times, ready, desired = zip(*replicas, strict=True)
    axis.fill_between(times, ready, color=page.BLUE, alpha=0.35, step="post", label="ready")
    axis.step(times, desired, INK, where="post", linestyle="--", label="desired")
    page.scale_of_replicas(axis, max(*ready, *desired))


def _mark(axes: Sequence[Axes], notes: Sequence[Note]) -> None:
    """A line through all panels for each note, with its number in the lowest."""
    for number, (seconds, _) in enumerate(notes, 1):
        for axis in axes:
            axis.axvline(seconds, color=INK, linewidth=0.7, linestyle=":")
        axes[-1].annotate(
            str(number),
            (seconds, 0.97),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=8,
            color="white",
            bbox={"boxstyle": "circle,pad=0.22", "facecolor": INK, "edgecolor": "none"},
        )


def _written(notes: Sequence[Note]) -> str:
    return "\n".join(
        page.wrapped(f"{number}  at {clock(seconds)}  {text}", indent="      ")
        for number, (seconds, text) in enumerate(notes, 1)
    )
