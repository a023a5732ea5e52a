"""When the counters of each pod began, as far as this process saw it.

A counter that began under our eyes began at 0, so its first sample counts; of any other the first
sample says nothing. The age of the pod does not tell: Triton may load for minutes. Called by
dlagent.reconcile.scaling at each tick, with what it returned at the tick before.
"""

import math
from collections.abc import Iterable, Mapping

from dlagent.domain.scaling.samples import PodSamples, usable

NOT_YET = math.inf  # the pod is there, and Prometheus has never had a sample of it
BEFORE = -math.inf  # it had samples when this process saw it first


def births(
    known: Mapping[str, float], pods: Iterable[str], samples: Mapping[str, PodSamples]
) -> dict[str, float]:
    """By pod, the time of the first sample of a counter that began at 0; else one of the above.

    `samples` must be a whole answer of Prometheus: one that failed says nothing about any pod.
    """
    return {pod: _birth(known.get(pod), samples.get(pod)) for pod in pods}


def _birth(known: float | None, samples: PodSamples | None) -> float:
    if known is not None and known != NOT_YET:
        return known
    found = usable(samples.successes) if samples is not None else ()
    if not found:
        return NOT_YET
    return BEFORE if known is None else found[0][0]
