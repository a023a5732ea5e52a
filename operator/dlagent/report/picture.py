"""report.png: accuracy against latency of all candidates, with the gate drawn in.

Called by the build and by `dlagent report`; report.html holds the same as SVG. matplotlib is
imported by the pictures alone.
"""

import io
import math
from collections import defaultdict
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dlagent.domain.artifact.comparison import compared_batch, milliseconds_at
from dlagent.domain.artifact.report import CandidateReport, Report
from dlagent.report import bars, pareto
from dlagent.report.style import GATE, GRID, INK, PALE, PAPER, Look, mark_of
from dlagent.report.words import VERDICTS, headline, plain

_DOTS_PER_INCH = 130
_HEAD_INCHES, _PLOT_INCHES, _LINE_INCHES = 0.5, 4.6, 0.165
_AXIS_INCHES, _LEGEND_INCHES = 0.55, 0.24
_NAMES_LISTED = 12

WIDE = Look(width_inches=10.5, letters=178, legend_columns=6)
NARROW = Look(width_inches=4.2, letters=68, legend_columns=2)


def png(report: Report) -> bytes:
    """The picture of a report, as PNG."""
    return _written(_figure(report, WIDE, headline(report)), "png")


def svg(report: Report, look: Look) -> str:
    """The same as an <svg> element, without a background, to stand in a page.

    Letters are drawn as paths, so that they fit in any browser. Ink, grid and paper are the page's
    variables --ink, --grid, --pale, --paper and --gate. The page has the headline already.
    """
    options: Any = {"svg.fonttype": "path", "svg.hashsalt": f"dlagent-{look.width_inches}"}
    with matplotlib.rc_context(options):
        text = _written(_figure(report, look, "", facecolor="none"), "svg").decode()
    for colour, name in (
        (INK, "ink"),
        (GRID, "grid"),
        (PALE, "pale"),
        (PAPER, "paper"),
        (GATE, "gate"),
    ):
        text = text.replace(colour, f"var(--{name})")
    return text[text.index("<svg") :]


def _written(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # No author and no date: the file is the report's picture, whoever draws it.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type")) if kind == "svg" else None
    figure.savefig(buffer, format=kind, metadata=nothing)
    return buffer.getvalue()


def _figure(report: Report, look: Look, head: str, facecolor: str = "white") -> Figure:
    batch = compared_batch(report.candidates)
    drawn = [each for each in report.candidates if _is_drawn(report, each, batch)]
    with_metric = bool(drawn) and report.gate is not None
    head = fill(head, look.letters * 10 // 12)
    foot = _foot(report, drawn, with_metric, look)
    marks = {mark_of(each).words for each in drawn}
    above = _LEGEND_INCHES * max(1, math.ceil(len(marks) / look.legend_columns))
    head_inches = _HEAD_INCHES + _LINE_INCHES * 1.15 * len(head.splitlines()) + above
    foot_inches = _AXIS_INCHES + _LINE_INCHES * (foot.count("\n") + 1)
    plot_inches = _PLOT_INCHES if with_metric else bars.height_inches(report)
    height = head_inches + plot_inches + foot_inches
    figure = Figure(figsize=(look.width_inches, height), dpi=_DOTS_PER_INCH, facecolor=facecolor)
    figure.subplots_adjust(
        left=0.72 / look.width_inches,
        right=1 - 0.2 / look.width_inches,
        top=1 - head_inches / height,
        bottom=foot_inches / height,
    )
    _write(figure, height, _title(report, with_metric, batch), head, foot)
    if with_metric and batch is not None:
        pareto.draw(figure, report, drawn, batch, look.legend_columns)
    else:
        bars.draw(figure, report)
    return figure


def _is_drawn(report: Report, each: CandidateReport, batch: int | None) -> bool:
    if batch is None or report.gate is None or each.select_metric is None:
        return False
    return (milliseconds_at(each, batch) or 0.0) > 0


def _title(report: Report, with_metric: bool, batch: int | None) -> str:
    if with_metric and report.gate is not None:
        return f"{plain(report.gate.metric, 30)} against latency"
    return "Latency" if batch is not None else "Nothing was timed"


def _write(figure: Figure, height: float, title: str, head: str, foot: str) -> None:
    left = 0.16 / figure.get_figwidth()
    style: dict[str, Any] = {"color": INK, "parse_math": False}
    figure.text(left, 1 - 0.12 / height, title, fontsize=13.5, fontweight="bold", va="top", **style)
    figure.text(left, 1 - 0.4 / height, head, fontsize=9.5, va="top", linespacing=1.25, **style)
    figure.text(left, 0.1 / height, foot, fontsize=8, va="bottom", linespacing=1.35, **style)


def _foot(report: Report, drawn: list[CandidateReport], with_metric: bool, look: Look) -> str:
    parts = [pareto.how_to_read(report)] if with_metric else [bars.HOW_TO_READ]
    if report.tau_measured_on:
        parts.append(f"The artifact is served on: {plain(report.tau_measured_on, 100)}.")
    missing = _missing(report, drawn) if with_metric else ""
    return "\n".join(fill(part, look.letters) for part in [*parts, missing] if part)


def _missing(report: Report, drawn: list[CandidateReport]) -> str:
    """Who is not in the picture, by what became of it."""
    shown = {each.name for each in drawn}
    groups: dict[str, list[str]] = defaultdict(list)
    for each in report.candidates:
        if each.name not in shown:
            groups[VERDICTS[each.verdict]].append(plain(each.name, 40))
    if not groups:
        return ""
    return (
        "Not in the picture: "
        + "; ".join(f"{verdict}: {_listed(names)}" for verdict, names in groups.items())
        + "."
    )


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMES_LISTED
    return ", ".join(names[:_NAMES_LISTED]) + (f" and {more} more" if more > 0 else "")
