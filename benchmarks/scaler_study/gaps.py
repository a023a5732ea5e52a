"""Metrics that are lost for ten minutes, at each start of a grid: ours beside holding still.

Around each start a part of the case is replayed, at the same rates, rather than all of it.
`benchmarks.scaler` calls `starts`, and `lose` for each of them.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.scaler_study.cases import Case
from dlagent.replay.compare import make_ours
from dlagent.replay.engine import replay
from dlagent.replay.faults import Fault, FaultKind
from dlagent.replay.policy import Policy, Seen
from dlagent.replay.requests import draw
from dlagent.replay.rows import attained

GAP_MINUTES = 10
_BEFORE_MINUTES, _AFTER_MINUTES = 15, 35  # around a gap's beginning; warm-up comes before


@dataclass(frozen=True)
class Gap:
    """What came of one: shares attained from before it until well after; `scale_downs` in it."""

    case: str
    minute: int
    attained: float
    held: float
    scale_downs: int

    @property
    def gain(self) -> float:
        """How much more is attained than by holding; negative where it is less."""
        return self.attained - self.held


class Holding:
    """Another policy that is not obeyed in a gap: the replicas stay as they were.

    A tick at the very beginning of the gap has lost nothing yet.
    """

    def __init__(self, policy: Policy, begins: float, ends: float) -> None:
        self._policy, self._begins, self._ends = policy, begins, ends
        self.name, self.period_seconds = f"{policy.name}, held", policy.period_seconds

    def replicas(self, seen: Seen) -> int:
        """It goes on to see, as the other does."""
        wanted = self._policy.replicas(seen)
        return seen.replicas if self._begins < seen.now < self._ends else wanted


def starts(case: Case, every_minutes: int) -> list[int]:
    """Minutes of a case from its beginning at which a gap begins."""
    return list(range(_BEFORE_MINUTES, case.minutes - _AFTER_MINUTES, every_minutes))


def lose(case: Case, folder: Path, seed: int, minute: int) -> Gap:
    """One gap, with and without a policy that decides in it."""
    first = minute - _BEFORE_MINUTES
    load = case.load(folder, seed, first, _BEFORE_MINUTES + _AFTER_MINUTES)
    begins = 60.0 * _BEFORE_MINUTES
    fault = Fault(FaultKind.GAP, begins, begins + 60.0 * GAP_MINUTES)
    setup = replace(case.setup(folder, seed), load=load, faults=(fault,))
    requests, past = draw(load, seed)
    ours = make_ours(setup.manifest, past, requests)
    held = Holding(make_ours(setup.manifest, past, requests), fault.begins, fault.ends)
    outcome = replay(setup.world(seed), requests, ours)
    still = replay(setup.world(seed), requests, held)
    return Gap(
        case=case.name,
        minute=minute,
        attained=attained(outcome),
        held=attained(still),
        scale_downs=scale_downs(outcome.plan, fault),
    )


def scale_downs(plan: tuple[tuple[float, int], ...], fault: Fault) -> int:
    """How often fewer replicas were asked for while the fault lasted."""
    steps = pairwise(plan)
    return sum(1 for (_, old), (at, new) in steps if fault.begins < at < fault.ends and new < old)
