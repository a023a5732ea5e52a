"""Which candidates need not be made, or not in full, because they could not win.

Of networks that are pruned in several strengths, the one with fewer channels is taken to be no
slower: it computes less of the same. So its time bounds the times of the others before they are
made, and they wait until it is known whether it keeps the accuracy. Called by dlagent.build.aside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlagent.domain.search.candidate import Candidate
from dlagent.domain.search.choice import is_tie
from dlagent.domain.search.halving import Estimate
from dlagent.domain.search.timing import Interval


@dataclass(frozen=True)
class LeastTime:
    """A candidate takes no less than this, as a share of the source's time; `of`: whose it is."""

    of: str
    time: Interval


def least_time(
    candidate: Candidate, planned: Mapping[str, Candidate], estimates: Mapping[str, Estimate]
) -> LeastTime | None:
    """Its own time where it was made once; else that of the next smaller one which was."""
    name: str | None = candidate.name
    while name is not None and name in planned:
        if name in estimates:
            return LeastTime(name, estimates[name].time)
        name = planned[name].smaller
    return None


def spared_by(
    candidate: Candidate, least: LeastTime, complete: Sequence[Estimate], max_drop: float
) -> Estimate | None:
    """The fastest of those that were made in full, fit, and leave a candidate no way to win.

    None where there is none. What was timed itself must surely be slower, beyond a tie. What was
    not is no faster than the smaller one, whose time is no less than the other's; that it may be a
    tie is not worth training it.
    """
    for other in sorted(complete, key=lambda e: e.time.median):
        if other.time.median > least.time.median:
            return None
        tied = least.of == candidate.name and is_tie(least.time, other.time)
        if other.drop <= max_drop and not tied:
            return other
    return None


def why_spared(candidate: Candidate, least: LeastTime, by: Estimate) -> str:
    """For the report."""
    share = f"takes {least.time.median:.0%} of the source's time"
    name = by.candidate.name
    if least.of == candidate.name:
        return f"{share}; faster, and keeps the accuracy: {name}"
    if least.of == name:
        return f"not needed: {name} has fewer channels, and keeps the accuracy"
    return (
        f"not needed: {least.of} has fewer channels and {share}; no slower, and keeps the accuracy:"
        f" {name}"
    )


def could_beat(least: LeastTime | None, chosen: Estimate | None) -> bool:
    """Whether a candidate that was not made in full might be faster than who serves without it."""
    return least is None or chosen is None or least.time.median < chosen.time.median
