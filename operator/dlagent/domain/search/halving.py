"""Successive halving: which candidates are worth more effort after a first estimate of all.

A candidate's time is known from the first estimate on, since training and calibration do not
change it; its accuracy is not. So those that cannot pass the gate any more are given up, and of the
others the fastest half goes on (Jamieson and Talwalkar, Non-stochastic best arm identification and
hyperparameter optimization, AISTATS 2016, algorithm 1, with the gate as a constraint).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlagent.domain.gate.limit import Limit
from dlagent.domain.search.candidate import Candidate
from dlagent.domain.search.timing import Interval

# The shares of the full work after which is decided. With half kept at each, n candidates of equal
# cost take 0.1 n + 0.2 n/2 + 0.7 n/4 = 0.375 n of what all of them would.
EFFORTS = (0.1, 0.3, 1.0)
_KEPT = 0.5
_FEWEST = 2  # so that there is a next one where the gate refuses the best
# What is not at least this much faster is not worth being another network than the source.
WORTHWHILE = 0.97


@dataclass(frozen=True)
class Estimate:
    """What is known of a candidate.

    `drop` was seen on the selection examples; `at_least` and `at_most` are the limits of what it
    can be on all such examples. `seconds`: what making and judging it has taken, at `effort`;
    `start_seconds` of them until it was ready to run, which takes as long at any effort.
    """

    candidate: Candidate
    effort: float
    time: Interval  # as a share of the source's
    drop: float
    at_least: float
    at_most: float
    seconds: float
    start_seconds: float = 0.0


def of_the_source(source: Candidate) -> Estimate:
    """The source needs no estimate: all others are compared with it."""
    return Estimate(source, 1.0, Interval(1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Promotion:
    """Who goes on, fastest first, and why the others do not."""

    kept: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]  # name, reason


def promote(estimates: Sequence[Estimate], limit: Limit) -> Promotion:
    """Who is worth more effort.

    Beside the fastest half, and never fewer than two, goes on whichever is the fastest of those
    that surely fit already: where all hopes fail, there is something to serve.
    """
    hopeful: list[Estimate] = []
    dropped: list[tuple[str, str]] = []
    for estimate in sorted(estimates, key=lambda e: e.time.median):
        slow = None if worthwhile(estimate) else too_slow(estimate)
        reason = slow or hopeless(estimate, limit)
        if reason is None:
            hopeful.append(estimate)
        else:
            dropped.append((estimate.candidate.name, reason))
    kept = hopeful[: max(math.ceil(len(hopeful) * _KEPT), _FEWEST)]
    sure = next((e for e in hopeful if e.at_most <= limit.at_most), None)
    if sure is not None and sure not in kept:
        kept.append(sure)
    faster = ", ".join(e.candidate.name for e in kept[:3])
    dropped += [
        (e.candidate.name, f"takes {e.time.median:.0%} of the source's time; faster: {faster}")
        for e in hopeful
        if e not in kept
    ]
    return Promotion(tuple(e.candidate.name for e in kept), tuple(dropped))


def hopeless(estimate: Estimate, limit: Limit) -> str | None:
    """Why it cannot keep the accuracy any more; None where it may."""
    # What training has yet to gain is taken for the most that was seen: a network that was trained
    # for a share of its epochs came to lose as small a share of what it lost then.
    left = estimate.effort if estimate.candidate.trained else 1.0
    if estimate.at_least * left > limit.at_most:
        share = f" after {estimate.effort:.0%} of the work" if estimate.effort < 1 else ""
        return f"loses {limit.say(estimate.drop)}{share}"
    return None


def affordable(estimate: Estimate, effort: float, seconds_left: float) -> bool:
    """Whether a candidate can be made with so much effort in the time that is left."""
    growing = estimate.seconds - estimate.start_seconds
    return estimate.start_seconds + growing * effort / estimate.effort <= seconds_left


def worthwhile(estimate: Estimate) -> bool:
    """Whether it may be so much faster than the source that it is worth a closer look."""
    return estimate.time.low < WORTHWHILE


def too_slow(estimate: Estimate) -> str:
    """Why it is not."""
    return f"not faster than the source ({estimate.time.median:.0%} of its time)"
