"""What a policy is shown in these tests: a manifest, and pods with the few figures that matter."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dlagent.domain.scaling.samples import PodSamples
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay.policy import Manifest, Seen

NAN = math.nan
MANIFEST = Manifest(
    service=ServiceTime(0.04, 0.02, 8),  # one replica can do 32.4 requests/s of these
    threshold_seconds=0.5,
    objective=0.99,
    min_replicas=1,
    max_replicas=200,
    pod_start_seconds=60.0,
    scrape_seconds=15.0,
)


def seen(
    *,
    now: float = 0.0,
    replicas: int | None = None,
    rates: Sequence[float] = (),
    busy: Sequence[float] = (),
    concurrency: Sequence[float] = (),
    ready: Sequence[bool] | None = None,
    p99_seconds: float = NAN,
) -> Seen:
    """As many pods as any of the figures has; they are ready, and were asked for, unless said."""
    pods = max(len(rates), len(busy), len(concurrency), len(ready or ()))
    flags = np.array([True] * pods if ready is None else ready, dtype=bool)
    return Seen(
        now=now,
        replicas=pods if replicas is None else replicas,
        pods=tuple(f"pod-{number}" for number in range(pods)),
        ready=flags,
        since_created_seconds=np.full(pods, 600.0),
        since_ready_seconds=np.where(flags, 500.0, NAN),
        requests_per_second=_each(rates, pods),
        busy_share=_each(busy, pods),
        concurrency=_each(concurrency, pods),
        p99_seconds=p99_seconds,
        samples=_no_samples,
    )


def _each(figures: Sequence[float], pods: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([*figures, *[NAN] * (pods - len(figures))], dtype=np.float64)


def _no_samples() -> Mapping[str, PodSamples]:
    return {}
