"""A load on the fake cluster's agents, and what Prometheus would tell of it.

`advance` lets time pass in scrape intervals: what arrives is spread evenly over the pods that are
ready, each answers so many requests a second, and the rest waits. Faults are set as fields.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from dlagent.api.names import NAME_LABEL
from dlagent.domain.scaling.samples import PodSamples, Sample, Snapshot, SnapshotReading
from dlagent.domain.scaling.slo import SloWindow
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile.ports import Object
from tests.unit.reconcile.fake import FakeCluster

SCRAPE_SECONDS = 15


class _Counted(NamedTuple):
    at: float
    answered: float
    waiting: float


class FakeMetrics:
    """Fits `reconcile.ports.MetricsSource`. `rates`: requests/s by the agent's name."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.rates: dict[str, float] = {}
        self.pod_rate = math.inf  # requests/s that a pod answers at most
        self.fault: NoData | None = None
        self.quantiles: tuple[tuple[float, float], ...] = ((0.5, 0.02), (0.99, 0.04))
        self.windows: dict[tuple[str, str], SloWindow] = {}
        self._counted: dict[tuple[str, str], list[_Counted]] = defaultdict(list)

    async def snapshot(self, at: float) -> SnapshotReading:
        if self.fault is not None:
            return self.fault
        return Snapshot(
            at,
            {pod: _samples(counted, self.quantiles) for pod, counted in self._counted.items()},
        )

    async def slo_windows(
        self, at: float, days: int
    ) -> Mapping[tuple[str, str], SloWindow] | NoData:
        return self.windows if self.fault is None else self.fault

    def advance(self, scrapes: int = 1) -> None:
        """Let so many scrape intervals pass."""
        for _ in range(scrapes):
            self.cluster.time += timedelta(seconds=SCRAPE_SECONDS)
            for name, rate in self.rates.items():
                pods = [pod for pod in self.cluster.of_kind("Pod") if _serves(pod, name)]
                for pod in pods:
                    self._serve(pod, SCRAPE_SECONDS * rate / len(pods))

    def _serve(self, pod: Object, arrived: float) -> None:
        counted = self._counted[pod["metadata"]["namespace"], pod["metadata"]["name"]]
        last = counted[-1] if counted else _Counted(0.0, 0.0, 0.0)
        answered = min(last.waiting + arrived, SCRAPE_SECONDS * self.pod_rate)
        waiting = last.waiting + arrived - answered
        now = self.cluster.time.timestamp()
        counted.append(_Counted(now, last.answered + answered, waiting))


def _serves(pod: Object, agent: str) -> bool:
    ready = any(c["type"] == "Ready" for c in pod["status"].get("conditions", []))
    return ready and pod["metadata"].get("labels", {}).get(NAME_LABEL) == agent


def _samples(counted: list[_Counted], quantiles: tuple[tuple[float, float], ...]) -> PodSamples:
    recent = counted[-4:]
    successes: tuple[Sample, ...] = tuple((c.at, c.answered) for c in recent)
    return PodSamples(
        successes=successes,
        failures=tuple((c.at, 0.0) for c in recent),
        pending=tuple((c.at, c.waiting) for c in recent),
        inferences=successes,
        quantiles=quantiles,
    )
