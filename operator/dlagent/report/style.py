"""Colours and marks of the pictures: told apart by shape too, and by those who see no red or green.

The palette of markers is that of Okabe and Ito, "Color Universal Design" (2008).
"""

from dataclasses import dataclass

from matplotlib.axes import Axes

from dlagent.domain.artifact.report import CandidateReport, Verdict
from dlagent.domain.search.candidate import SOURCE

# The page replaces these by what fits to light or dark; no other colour may be equal to them.
INK, GRID, PALE, PAPER = "#30343b", "#e8eaee", "#aab1bc", "#fefefe"
GATE = "#c0392b"


@dataclass(frozen=True)
class Look:
    """For which room a picture is drawn; `letters` of the small print fit into a line."""

    width_inches: float
    letters: int
    legend_columns: int


@dataclass(frozen=True)
class Mark:
    """How a candidate is drawn."""

    shape: str
    colour: str
    size: float
    words: str


_SOURCE = Mark("s", "#30343b", 8, "the source")
MARKS = {
    Verdict.CHOSEN: Mark("*", "#009e73", 17, "chosen"),
    Verdict.SLOWER: Mark("o", "#0072b2", 7.5, "good enough, slower"),
    Verdict.GATE_FAILED: Mark("X", "#d55e00", 8.5, "loses too much"),
    Verdict.DROPPED: Mark("v", "#8a6d9f", 7.5, "given up early"),
    Verdict.FAILED: Mark("P", "#b08a00", 8, "failed"),
    Verdict.NOT_TRIED: Mark("d", "#56b4e9", 7, "not judged in full"),
    Verdict.NOT_APPLICABLE: Mark("d", "#56b4e9", 7, "not judged in full"),
}


def mark_of(candidate: CandidateReport) -> Mark:
    """The source has a mark of its own, unless it was chosen."""
    if candidate.name == SOURCE and candidate.verdict is not Verdict.CHOSEN:
        return _SOURCE
    return MARKS[candidate.verdict]


def dress(axis: Axes) -> None:
    """A grid behind, no frame above and to the right."""
    axis.set_facecolor("none")
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axis.spines[side].set_color(PALE)
    axis.tick_params(labelsize=9, colors=INK)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
