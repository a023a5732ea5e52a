"""Whether one pod has far more to do than the others, which more replicas do not mend.

So it is with clients that keep their connections: a gRPC channel stays with its pod, and a new
replica gets nothing. `skew_of` looks at one moment, `watched` says what has lasted; both are called
at each tick by dlagent.reconcile.scaling. Where all pods are full, more replicas are the remedy,
and nothing is said.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from dlagent.domain.scaling.signals import PodLoad

_FACTOR = 2.0  # of the mean of the others
_DEVIATIONS = 3.0  # a Poisson count of k has the standard deviation sqrt(k)
_LASTS_SECONDS = 180.0  # clients find a new pod by then, if they ever do
_GONE_SECONDS = 60.0  # a tick without it does not end it


@dataclass(frozen=True, slots=True)
class Skew:
    """A pod that gets, or keeps waiting, more than its share; `pods` answer in all."""

    pod: str
    pods: int


@dataclass(frozen=True, slots=True)
class SkewState:
    """What one tick hands to the next: the skew and when it was seen first and last."""

    skew: Skew
    since: float
    last: float

    @property
    def lasting(self) -> Skew | None:
        """What is to be said; None before it has lasted."""
        return self.skew if self.last - self.since >= _LASTS_SECONDS else None


def skew_of(loads: Sequence[PodLoad], capacity: float, at_once: float) -> Skew | None:
    """At this moment. None where there is none, or where it does no harm.

    Args:
        loads: of the pods that answer.
        capacity: requests/s that one of them answers within the promise.
        at_once: requests that one of them works at together, which may wait for the next batch.
    """
    if len(loads) < 2:
        return None
    busiest = max(loads, key=lambda load: load.rate)
    longest = max(loads, key=lambda load: load.waiting)
    others = [load for load in loads if load is not busiest]
    if _gets_more(busiest, fmean(load.rate for load in others), capacity):
        return Skew(busiest.pod, len(loads))
    others = [load for load in loads if load is not longest]
    waiting = sum(load.waiting for load in others)
    if longest.waiting > 2 * at_once and longest.waiting > waiting and waiting < at_once:
        return Skew(longest.pod, len(loads))
    return None


def _gets_more(busiest: PodLoad, others: float, capacity: float) -> bool:
    """More than one pod can do, and more than chance: the others have room for it."""
    expected = _FACTOR * others * busiest.seconds
    counted = busiest.rate * busiest.seconds
    return (
        counted > expected + _DEVIATIONS * math.sqrt(expected)
        and busiest.rate > capacity
        and others < capacity
    )


def watched(state: SkewState | None, skew: Skew | None, now: float) -> SkewState | None:
    """The state after a tick that saw `skew`; `now` in Unix seconds.

    While it lasts the pod that was named stays named, so that the status does not change with
    every tick. A clock that jumps begins anew.
    """
    recent = state is not None and 0 <= now - state.last <= _GONE_SECONDS
    if skew is None:
        return state if recent else None
    if state is None or not recent:
        return SkewState(skew, now, now)
    named = state.skew if state.lasting is not None else skew
    return SkewState(named, state.since, now)
