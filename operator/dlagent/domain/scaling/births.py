"""When the counters of each pod began, as far as this process saw it.

A counter that began under our eyes began at 0, so its first sample counts; of any other the first
sample says nothing. The age of the pod does not tell, since Triton may load for minutes; but what a
pod counted that was ready for a whole window without a sample (it was overloaded, or Prometheus was
away) is of nobody knows when. Called by dlagent.reconcile.scaling and by replays at each tick, with
what it returned at the tick before.
"""

import math
from collections.abc import Mapping

from dlagent.domain.scaling.samples import PodSamples, usable

NOT_YET = math.inf  # the pod is there, and there has been no sample of it
BEFORE = -math.inf  # it counted before there was a sample of it that this process saw


def births(
    known: Mapping[str, float],
    ready_since: Mapping[str, float | None],
    samples: Mapping[str, PodSamples],
    now: float,
    window_seconds: float,
) -> dict[str, float]:
    """By pod, the time of the first sample of a counter that began at 0; else one of the above.

    Args:
        known: what this returned before.
        ready_since: of each pod that there is; None where it does not answer yet.
        samples: a whole answer of Prometheus: one that failed says nothing about any pod.
        now: Unix seconds, as all times.
        window_seconds: how far back the samples reach.
    """

    def birth(pod: str, ready: float | None) -> float:
        before = known.get(pod)
        if before is not None and before != NOT_YET:
            return before
        found = usable(samples[pod].successes) if pod in samples else ()
        first = found[0][0] if found else now
        if ready is not None and first - ready > window_seconds:
            return BEFORE
        if not found:
            return NOT_YET
        return BEFORE if before is None else first

    return {pod: birth(pod, ready) for pod, ready in ready_since.items()}
