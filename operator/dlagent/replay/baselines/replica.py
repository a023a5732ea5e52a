"""What one replica can do, in the terms that the baselines' targets are given in.

All of it follows from the manifest, which the operator's own policy is told as well.
`dlagent.replay.policies` asks it for targets, `hpa` and `keda` for their unit.
"""

from functools import lru_cache

from dlagent.domain.scaling.capacity import capacity, latency_quantile
from dlagent.replay.policy import Manifest

_BEST_EFFORT_LOAD = 0.8  # of saturation, where no rate keeps the promise: as the operator does


def requests_per_second(manifest: Manifest) -> float:
    """The greatest rate at which one replica keeps the promise."""
    service = manifest.service
    kept = capacity(service, manifest.threshold_seconds, manifest.objective)
    return kept or _BEST_EFFORT_LOAD * service.saturation


@lru_cache(maxsize=64)
def concurrency(manifest: Manifest) -> float:
    """How many requests are in a replica at that rate: Little's law, the median for the mean."""
    rate = requests_per_second(manifest)
    return rate * latency_quantile(manifest.service, rate, 0.5)
