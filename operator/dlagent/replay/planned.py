"""A policy that follows a plan made in hindsight, and what must be asked for when.

A pod that is to serve from a time on must be asked for a start before, and costs from then on. Pods
leave in the opposite order in which they came, those that still start first. So the ready pods at a
time are the least number that was asked for within the last start. The cheapest way to have certain
numbers ready is to ask, at any time, for the most that are to be ready within the next start. A
valley between two levels that is shorter than a start is filled by that: it would save nothing.

`dlagent.replay.oracle` makes such plans and has the engine follow them.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from dlagent.replay.kernel import Ints, compiled
from dlagent.replay.policy import Seen

TICK_SECONDS = 10.0

Change = tuple[float, int]  # when, in seconds, and how many are asked for from then on


class Planned:
    """Asks for each number at its time, and is asked at no other."""

    name = "planned"

    def __init__(self, changes: Sequence[Change], begins: float) -> None:
        """`begins` is when the replay does; at least one change, by time, none before it."""
        times = [at for at, _ in changes]
        # The engine reads the period twice before the first answer. So it is asked once half-way
        # to the first change, and changes nothing.
        self._waits = [(times[0] - begins) / 2, *np.diff(times).tolist(), math.inf]
        self._numbers = [number for _, number in changes]
        self._asked = 0

    @property
    def period_seconds(self) -> float:
        """From the change that is due until the one after it."""
        return self._waits[self._asked]

    def replicas(self, seen: Seen) -> int:
        """The next number of the plan."""
        self._asked += 1
        return self._numbers[self._asked - 2] if self._asked > 1 else seen.replicas


def changes(ready: Ints, start_seconds: float, begins: float) -> list[Change]:
    """When to ask for how many, so that `ready[k]` pods serve from TICK_SECONDS k on.

    Before 0 there is what the first tick has. What would have to be asked for before `begins` is
    asked for then, and comes late.
    """
    steps: defaultdict[float, int] = defaultdict(int)
    for level in range(1, int(ready.max()) + 1):
        edges = np.flatnonzero(np.diff(ready >= level, prepend=False, append=False))
        last_end = -math.inf
        for first, end in edges.reshape(-1, 2).tolist():
            asked = begins if first == 0 else max(begins, first * TICK_SECONDS - start_seconds)
            if asked > last_end:
                steps[asked] += 1
            else:
                steps[last_end] += 1  # the valley before is filled: its end is taken back
            last_end = math.inf if end == len(ready) else end * TICK_SECONDS
            if end < len(ready):
                steps[last_end] -= 1
    number, found = 0, []
    for at in sorted(steps):
        if steps[at]:
            number += steps[at]
            found.append((at, number))
    return found


@compiled
def pod_ticks(ready: Ints, start_ticks: float) -> float:
    """What a plan costs in pods times ticks: what serves, and the starts of what is added.

    What is added before a start has passed costs since 0 alone. Valleys count as they are, even
    where they are too short to save anything.
    """
    total = float(ready[0])
    for tick in range(1, len(ready)):
        added = max(0, ready[tick] - ready[tick - 1])
        total += ready[tick] + added * min(start_ticks, tick)
    return total
