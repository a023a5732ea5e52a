"""What a scaling policy is in a replay: what it is told, what it sees, what it answers.

`dlagent.replay.engine` asks every policy in the same way, the operator's own and those of others:
they are told the same manifest, and see the same scraped counters with the same delay. What was
not scraped, or scraped as NaN, is NaN in the arrays: a policy does with it what its project does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dlagent.domain.scaling.samples import PodSamples
from dlagent.domain.scaling.service_time import ServiceTime

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known before the first request; `objective` is from 0 to 1, both excluded.

    `service` is how long batches are believed to take, `pod_start_seconds` how long a pod is
    believed to take until it is ready, `scrape_seconds` Prometheus' scrape interval.
    """

    service: ServiceTime
    threshold_seconds: float
    objective: float
    min_replicas: int
    max_replicas: int
    pod_start_seconds: float
    scrape_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What a policy may look at; times are seconds since the replay began.

    The arrays have an entry for each pod that is there and is not being removed, in no order.
    `since_created_seconds` and `since_ready_seconds` (NaN while it is not ready) are of the API;
    what follows is of the samples that Prometheus has: `requests_per_second` (answered, over the
    last minute or two scrape intervals, whichever is longer: what `rate()` gives),
    `busy_share` (of the same window, 0 to 1 per instance, as a GPU's duty cycle), `concurrency`
    (requests in the pod, waiting or in a batch, at the newest scrape). NaN: there is no fresh
    sample. `p99_seconds`: of all pods' answers in that window together, as `histogram_quantile`
    of the summed rates gives it; NaN where nothing was answered or scraped.

    `samples` makes what the operator reads from Prometheus, by pod name; `pods` are their names.
    """

    now: float
    replicas: int
    pods: tuple[str, ...]
    ready: Flags
    since_created_seconds: Floats
    since_ready_seconds: Floats
    requests_per_second: Floats
    busy_share: Floats
    concurrency: Floats
    p99_seconds: float
    samples: Callable[[], Mapping[str, PodSamples]]


class Policy(Protocol):
    """Decides how many replicas there are to be; the engine applies the manifest's bounds."""

    @property
    def name(self) -> str:
        """As `--policy` takes it: `hpa-rps:target=0.7`."""
        ...

    @property
    def period_seconds(self) -> float:
        """How often it is asked."""
        ...

    def replicas(self, seen: Seen) -> int:
        """The number from now on; `seen.replicas` is what was asked for so far."""
        ...
