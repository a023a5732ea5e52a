"""The Pareto picture's plot: a mark for each candidate, the front, the gate, labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.transforms
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)

from dlagent.domain.artifact.comparison import lower_is_better, pareto_front, source_of
from dlagent.domain.artifact.report import CandidateReport, Report, Timing, Verdict
from dlagent.domain.search.candidate import SOURCE
from dlagent.report.labels import Box, Label, Line, place
from dlagent.report.style import GATE, INK, PALE, PAPER, Mark, dress, mark_of
from dlagent.report.words import gate_limit, metric, milliseconds, plain

_LOGARITHMIC_FROM = 5.0  # the slowest takes so many times as long as the fastest
_GATES_SHOWN = 2.5  # what is further below the gate than so many limits stands at the edge
_NAME_LETTERS = 28
_FONT = 8.5
_STEPS = [1, 2, 2.5, 5, 10]


@dataclass(frozen=True)
class _Point:
    """A candidate in the plot; `y` is where it stands, which is at the edge if it is far off."""

    candidate: CandidateReport
    timing: Timing
    value: float
    y: float

    @property
    def whole(self) -> bool:
        """Its figures are of the full work."""
        return self.candidate.effort is None or self.candidate.effort >= 1

    @property
    def mark(self) -> Mark:
        return mark_of(self.candidate)


def how_to_read(report: Report) -> str:
    """The small print below the picture."""
    examples = "" if report.data is None else f"{report.data.parts.get('select', 0):,} "
    text = (
        "Up and to the left is better."
        if not lower_is_better(report)
        else "Down and to the left is better."
    )
    text += (
        f" Marks stand for what was seen on the {examples}selection examples; hollow ones are"
        " estimates from a part of the work. The grey steps join what nothing else beats in both."
    )
    if any(each.gate and each.gate.upper_bound is not None for each in report.candidates):
        text += (
            " The bar at a finalist ends at what the gate's own examples assure: it passes if that"
            " is not beyond the dashed line."
        )
    return text


def draw(
    figure: Figure,
    report: Report,
    candidates: Sequence[CandidateReport],
    batch: int,
    legend_columns: int,
) -> None:
    """Draw into an empty figure; each candidate must have a time for the batch and a metric."""
    axis: Axes = figure.subplots()
    line = _gate_line(report)
    low, high = _range(report, candidates, line)
    points = [_point(each, batch, low, high) for each in candidates]
    _scales(axis, report, points, batch, low, high)
    _draw_gate(axis, report, line, low, high)
    _draw_front(axis, report, points)
    for point in points:
        _draw_point(axis, report, point)
    dress(axis)
    _legend(axis, points, legend_columns)
    _draw_labels(figure, axis, report, points)


def _gate_line(report: Report) -> float | None:
    """The metric below (of an error: above) which a candidate is refused."""
    if report.gate is None:
        return None
    if lower_is_better(report):
        return report.gate.limit
    source = source_of(report)
    seen = source.select_metric if source is not None else None
    return (report.gate.before if seen is None else seen) - report.gate.limit


def _range(
    report: Report, candidates: Sequence[CandidateReport], line: float | None
) -> tuple[float, float]:
    """From where to where the axis of the metric goes."""
    values = [each.select_metric for each in candidates if each.select_metric is not None]
    shown = [*values, *([] if line is None else [line])]
    if lower_is_better(report):
        positive = [value for value in shown if value > 0] or [1e-6, 1.0]
        return min(positive) / 4, max(positive) * 3
    shown += [end for each in candidates if (end := _bound(report, each)) is not None]
    high = max(shown)
    if line is not None:
        lowest = line - _GATES_SHOWN * max(high - line, 1e-3)
        shown = [value for value in shown if value >= lowest]
    room = max(high - min(shown), 1e-3) * 0.12
    return min(shown) - room, high + room


def _point(each: CandidateReport, batch: int, low: float, high: float) -> _Point:
    timing = next(timing for timing in each.timings if timing.batch == batch)
    value = each.select_metric or 0.0
    return _Point(each, timing, value, min(max(value, low), high))


def _scales(
    axis: Axes, report: Report, points: Sequence[_Point], batch: int, low: float, high: float
) -> None:
    fastest = min(point.timing.milliseconds for point in points) / batch
    slowest = max(point.timing.milliseconds for point in points) / batch
    if slowest / fastest >= _LOGARITHMIC_FROM:
        axis.set_xscale("log")
        axis.set_xlim(fastest / 1.35, slowest * 1.6)
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = max(slowest - fastest, slowest * 0.1) * 0.12
        axis.set_xlim(max(0.0, fastest - room), slowest + 2 * room)
        axis.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=_STEPS))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_xlabel(f"milliseconds an example, in batches of {batch}", fontsize=9)
    if lower_is_better(report):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_ylabel("largest error", fontsize=9)
    else:
        axis.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=_STEPS))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    axis.set_ylim(low, high)


def _draw_gate(axis: Axes, report: Report, line: float | None, low: float, high: float) -> None:
    if line is None:
        return
    beyond = high if lower_is_better(report) else low
    axis.axhspan(line, beyond, color=GATE, alpha=0.07, linewidth=0)
    axis.axhline(line, color=GATE, linestyle="--", linewidth=1.3)
    axis.annotate(
        f"the gate: {gate_limit(report)}",
        (1.0, line),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3 if lower_is_better(report) else -3),
        textcoords="offset points",
        ha="right",
        va="bottom" if lower_is_better(report) else "top",
        fontsize=_FONT,
        color=GATE,
        parse_math=False,
    )


def _draw_front(axis: Axes, report: Report, points: Sequence[_Point]) -> None:
    spots = [(_x(point), point.y) for point in points if point.whole]
    front = pareto_front(spots, lower_is_better(report))
    steps = [front[0]] if front else []
    for (_, before), (x, y) in pairwise(front):
        steps += [(x, before), (x, y)]
    axis.plot(*zip(*steps, strict=True), color=PALE, linewidth=1.6, zorder=1.5)


def _x(point: _Point) -> float:
    """Milliseconds an example."""
    return point.timing.milliseconds / point.timing.batch


def _draw_point(axis: Axes, report: Report, point: _Point) -> None:
    mark, timing = point.mark, point.timing
    x = _x(point)
    axis.plot(
        [timing.low_milliseconds / timing.batch, timing.high_milliseconds / timing.batch],
        [point.y, point.y],
        color=mark.colour,
        linewidth=1,
        zorder=2,
    )
    _draw_bound(axis, report, point)
    axis.plot(
        [x],
        [point.y],
        marker=mark.shape,
        markersize=mark.size,
        color=mark.colour,
        markerfacecolor=mark.colour if point.whole else PAPER,
        markeredgecolor=PAPER if point.whole else mark.colour,
        markeredgewidth=0.8 if point.whole else 1.4,
        linestyle="none",
        clip_on=False,
        zorder=4 if point.candidate.verdict is Verdict.CHOSEN else 3,
    )


def _draw_bound(axis: Axes, report: Report, point: _Point) -> None:
    """From a finalist to the least accuracy that the gate's examples assure."""
    end = _bound(report, point.candidate)
    if end is None:
        return
    axis.plot([_x(point)] * 2, [point.y, end], color=point.mark.colour, linewidth=1.2, zorder=2)
    axis.plot(
        [_x(point)], [end], marker="_", markersize=9, color=point.mark.colour, linestyle="none"
    )


def _bound(report: Report, candidate: CandidateReport) -> float | None:
    """The least accuracy that the gate's examples assure, counted from the source's."""
    source, gate = source_of(report), candidate.gate
    if gate is None or gate.upper_bound is None or source is None or source.select_metric is None:
        return None
    return source.select_metric - gate.upper_bound


def _legend(axis: Axes, points: Sequence[_Point], columns: int) -> None:
    marks = {point.mark.words: point.mark for point in points}
    handles = [
        Line2D(
            [],
            [],
            marker=mark.shape,
            color=mark.colour,
            markersize=min(mark.size, 11),
            markeredgecolor=PAPER,
            linestyle="none",
            label=words,
        )
        for words, mark in marks.items()
    ]
    legend = axis.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        fontsize=_FONT,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.2,
        borderaxespad=0.1,
    )
    for text in legend.get_texts():
        text.set_color(INK)


def _draw_labels(figure: Figure, axis: Axes, report: Report, points: Sequence[_Point]) -> None:
    """The name of each candidate, where there is room: the chosen, the source, the front first."""
    figure.draw_without_rendering()  # only now are the axes in their places
    scale = figure.dpi / 72
    order = sorted(points, key=_importance)
    spots = axis.transData.transform([(_x(point), point.y) for point in order])
    texts = [_label(figure, report, point) for point in order]
    labels = []
    for (x, y), text in zip(spots, texts, strict=True):
        extent = text.get_window_extent()
        labels.append(Label(x, y, extent.width, extent.height))
    taken = [_around(x, y, point, scale) for (x, y), point in zip(spots, order, strict=True)]
    taken += [_box(text.get_window_extent()) for text in axis.texts]
    taken += _lines(axis, scale)
    places = place(labels, _box(axis.get_window_extent()), taken, scale)
    to_figure = figure.transFigure.inverted()
    for found, text, label in zip(places, texts, labels, strict=True):
        if found is None:
            text.remove()
            continue
        left, bottom = to_figure.transform((found.box.left, found.box.bottom))
        text.set_position((left, bottom))
        if found.far:
            _lead(figure, found.lead(label))


def _importance(point: _Point) -> tuple[int, float]:
    verdict = point.candidate.verdict
    if verdict is Verdict.CHOSEN:
        return 0, 0.0
    if point.candidate.name == SOURCE:
        return 1, 0.0
    finalist = point.candidate.gate is not None
    return 2 if finalist else 3 if point.whole else 4, point.timing.milliseconds


def _label(figure: Figure, report: Report, point: _Point) -> Text:
    text = plain(point.candidate.name, _NAME_LETTERS)
    if point.candidate.name == SOURCE:
        text += ", the source"
    if point.candidate.verdict is Verdict.CHOSEN:
        text += f", chosen: {milliseconds(_x(point))}"
    if point.y != point.value:
        text += f" ({metric(report, point.value)})"
    return figure.text(
        0,
        0,
        text,
        fontsize=_FONT,
        color=INK,
        va="bottom",
        ha="left",
        parse_math=False,
        fontweight="bold" if point.candidate.verdict is Verdict.CHOSEN else "normal",
    )


def _lines(axis: Axes, scale: float) -> list[Box]:
    """Each upright or level piece of the lines, so that no label is struck through."""
    boxes = []
    for line in axis.lines:
        for (x0, y0), (x1, y1) in pairwise(line.get_transform().transform(line.get_xydata())):
            left, right, bottom, top = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
            boxes.append(Box(left - scale, bottom - scale, right + scale, top + scale))
    return boxes


def _around(x: float, y: float, point: _Point, scale: float) -> Box:
    half = point.mark.size * scale * 0.5
    return Box(x - half, y - half, x + half, y + half)


def _box(extent: matplotlib.transforms.BboxBase) -> Box:
    return Box(extent.x0, extent.y0, extent.x1, extent.y1)


def _lead(figure: Figure, line: Line) -> None:
    """A thin line from the edge of a label to its mark."""
    ends = figure.transFigure.inverted().transform(line)
    figure.add_artist(Line2D(ends[:, 0], ends[:, 1], color=PALE, linewidth=0.8, zorder=-1))
