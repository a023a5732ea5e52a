"""The picture of a build that judged no accuracy: how long a batch takes, by candidate."""

import numpy as np
from matplotlib.figure import Figure

from dlagent.domain.artifact.comparison import ranked
from dlagent.domain.artifact.report import CandidateReport, Report, Timing, Verdict
from dlagent.domain.search.candidate import SOURCE
from dlagent.report.style import INK, MARKS, PALE, dress
from dlagent.report.words import milliseconds, plain

HOW_TO_READ = (
    "Without a data set nothing is known of the accuracy, so only what computes the same as the"
    " source was tried. Each bar is the median time of a batch on one thread; the thin line is the"
    " interval that it is in."
)
_BAR_INCHES, _GAP_INCHES = 0.34, 0.6


def height_inches(report: Report) -> float:
    """How much room the bars need."""
    heights = [_BAR_INCHES * len(bars) for bars in _panels(report).values()]
    return sum(heights) + _GAP_INCHES * (len(heights) - 1) if heights else _BAR_INCHES


def draw(figure: Figure, report: Report) -> None:
    """Draw a panel for each batch into an empty figure."""
    panels = _panels(report)
    if not panels:
        return
    heights = [_BAR_INCHES * len(bars) for bars in panels.values()]
    gap = _GAP_INCHES * len(heights) / sum(heights)  # in shares of the mean panel
    axes = figure.subplots(
        len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights, "hspace": gap}
    )[:, 0]
    names = [plain(each.name, 30) for each, _ in max(panels.values(), key=len)]
    figure.subplots_adjust(
        left=min(0.4, (0.3 + 0.075 * max(map(len, names))) / figure.get_figwidth())
    )
    for axis, (batch, bars) in zip(axes, panels.items(), strict=True):
        places = np.arange(len(bars))[::-1]
        values = [timing.milliseconds for _, timing in bars]
        colours = [_colour(each) for each, _ in bars]
        axis.barh(places, values, height=0.62, color=colours)
        longest = max(timing.high_milliseconds for _, timing in bars)
        for place, (_, timing) in zip(places, bars, strict=True):
            axis.plot(
                [timing.low_milliseconds, timing.high_milliseconds],
                [place, place],
                color=INK,
                linewidth=1,
            )
            axis.text(
                max(timing.high_milliseconds, timing.milliseconds) + longest * 0.012,
                place,
                milliseconds(timing.milliseconds),
                va="center",
                fontsize=8.5,
                color=INK,
            )
        axis.set_yticks(places, [plain(each.name, 30) for each, _ in bars], parse_math=False)
        axis.set_xlim(0, longest * 1.15)
        axis.set_title(f"batch of {batch}", fontsize=9.5, loc="left", color=INK)
        dress(axis)
        axis.grid(visible=False, axis="y")
    axes[-1].set_xlabel("milliseconds a batch", fontsize=9)


def _panels(report: Report) -> dict[int, list[tuple[CandidateReport, Timing]]]:
    """The bars of each batch, the chosen candidate first."""
    panels: dict[int, list[tuple[CandidateReport, Timing]]] = {}
    for each in ranked(report.candidates):
        for timing in each.timings:
            panels.setdefault(timing.batch, []).append((each, timing))
    return dict(sorted(panels.items()))


def _colour(each: CandidateReport) -> str:
    if each.verdict is Verdict.CHOSEN:
        return MARKS[Verdict.CHOSEN].colour
    return INK if each.name == SOURCE else PALE
