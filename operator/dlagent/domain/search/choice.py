"""Which candidates stand before the gate, and which of them serves.

The fastest that keeps the accuracy. Times whose intervals overlap, or that are within 3 % of each
other, are a tie: then the more accurate one, then the one that was planned first, so that noise
alone never decides.
"""

from collections.abc import Collection, Sequence

from dlagent.domain.search.candidate import SOURCE
from dlagent.domain.search.halving import WORTHWHILE, Estimate
from dlagent.domain.search.timing import Interval

# So many contenders stand before the gate: each more makes it harder for all of them to pass, by
# Holm's correction.
MOST_FINALISTS = 3


def preference(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The best first; `estimates` are in the order of planning."""
    left = list(estimates)
    ordered: list[Estimate] = []
    while left:
        fastest = min(left, key=lambda e: e.time.median)
        tied = [e for e in left if is_tie(e.time, fastest.time)]
        best = min(tied, key=lambda e: e.drop)  # of equal ones the first
        ordered.append(best)
        left.remove(best)
    return ordered


def is_tie(time: Interval, faster: Interval) -> bool:
    """Whether a time is as good as one that was measured to be shorter."""
    return time.overlaps(faster) or time.median * WORTHWHILE < faster.median


def contenders(estimates: Sequence[Estimate], max_drop: float) -> list[Estimate]:
    """Who may stand before the gate, the best first; the source itself needs no gate.

    What is no better than the source is left out, and so is what already lost too much on the
    selection examples. What ties with the source may take it to the front, before others that are
    surely faster than it: they stand as well.
    """
    fit = [e for e in preference(estimates) if e.drop <= max_drop]
    names = [e.candidate.name for e in fit]
    if SOURCE not in names:
        return fit
    at = names.index(SOURCE)
    surely_faster = [e for e in fit[at + 1 :] if not is_tie(fit[at].time, e.time)]
    return fit[:at] + surely_faster


def winner(ordered: Sequence[Estimate], passed: Collection[str], source: bool) -> str | None:
    """The best that passed the gate; else the source, where `source` says that it may serve."""
    for estimate in ordered:
        if estimate.candidate.name in passed:
            return estimate.candidate.name
    return SOURCE if source else None
