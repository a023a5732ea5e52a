"""How long a pod of an agent takes from its creation until it is ready first, as seen so far.

dlagent.reconcile.scaling calls `pod_starts` at each tick with what it returned at the tick before,
and gives `pod_start_seconds` to the decision. Only pods that were created since the process looks
at the agent count: of others that became ready again nobody knows the first time. Times are Unix
seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlagent.domain.rollout.seen import Pod

_SHARE = 0.9
_REMEMBERED = 20  # starts: the 18th longest counts, and a change of image is forgotten by then
FEWEST_STARTS = 3  # from which on the prior counts no more
_SHORTEST_SECONDS = 1.0  # Kubernetes tells whole seconds
# Longer than any start: what made it wait, such as a quota, says nothing about the next one.
_LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class PodStarts:
    """Starts of pods that were created at `since` or later, the latest last.

    `counted` are the pods that are there and whose start is among them.
    """

    since: float
    seconds: tuple[float, ...] = ()
    counted: frozenset[str] = frozenset()


def pod_starts(known: PodStarts, pods: Sequence[Pod]) -> PodStarts:
    """With the starts of those of `pods` that became ready since the look before."""
    counted = known.counted & {pod.name for pod in pods}
    seconds = list(known.seconds)
    for pod in pods:
        taken = _taken(pod, known.since)
        if taken is not None and pod.name not in counted:
            counted |= {pod.name}
            if taken <= _LONGEST_SECONDS:
                seconds.append(max(_SHORTEST_SECONDS, taken))
    return PodStarts(known.since, tuple(seconds[-_REMEMBERED:]), counted)


def pod_start_seconds(known: PodStarts, prior_seconds: float) -> float:
    """Within which 90 % of the starts were over (nearest rank).

    Up to three starts the prior stands for those that are not there yet: so a longer start is
    believed at once, and shorter ones when there are three.
    """
    missing = max(0, FEWEST_STARTS - len(known.seconds))
    ordered = sorted([*known.seconds, *[prior_seconds] * missing])
    return ordered[math.ceil(_SHARE * len(ordered)) - 1]


def _taken(pod: Pod, since: float) -> float | None:
    """From its creation until it was ready; None where it is not, or was there before."""
    if not pod.ready or pod.ready_since is None or pod.created is None:
        return None
    if pod.created.timestamp() < since:
        return None
    return max(0.0, (pod.ready_since - pod.created).total_seconds())
