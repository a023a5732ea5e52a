"""A load on the fake cluster's agents, and what Prometheus would tell of it.

`advance` lets time pass in scrape intervals: what arrives is spread evenly over the pods that are
ready, each answers so many requests a second, and the rest waits. Faults are set as fields.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import NamedTuple

from dlagent.api.names import NAME_LABEL
from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.samples import PodSamples, Sample, Snapshot, SnapshotReading
from dlagent.domain.scaling.slo import SloWindow
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile.ports import Object
from tests.unit.reconcile.fake import FakeCluster

SCRAPE_SECONDS = 15
THRESHOLD_SECONDS = 0.05  # that of an agent of `fake`


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
        self.rows = 1  # of a request
        self.favoured: float | None = None  # the share of the requests that the first pod gets
        self.in_time: float | None = None  # what a histogram counts in time
        self.windows: dict[tuple[str, str], SloWindow] = {}
        self.pasts: dict[tuple[str, str], Past] = {}
        self._counted: dict[tuple[str, str], list[_Counted]] = defaultdict(list)

    async def snapshot(self, at: float, thresholds: Collection[float]) -> SnapshotReading:
        if self.fault is not None:
            return self.fault
        return Snapshot(
            at,
            {
                pod: _samples(counted, self.quantiles, self.in_time, self.rows)
                for pod, counted in self._counted.items()
            },
        )

    async def slo_windows(
        self, at: float, days: int
    ) -> Mapping[tuple[str, str], SloWindow] | NoData:
        return self.windows if self.fault is None else self.fault

    async def past(self, agent: tuple[str, str], at: float) -> Past | NoData:
        return self.pasts.get(agent, Past()) if self.fault is None else self.fault

    def advance(self, scrapes: int = 1) -> None:
        """Let so many scrape intervals pass."""
        for _ in range(scrapes):
            self.cluster.time += timedelta(seconds=SCRAPE_SECONDS)
            for name, rate in self.rates.items():
                pods = [pod for pod in self.cluster.of_kind("Pod") if _serves(pod, name)]
                for number, pod in enumerate(pods):
                    self._serve(pod, SCRAPE_SECONDS * rate * self._share(number, len(pods)))

    def _share(self, number: int, pods: int) -> float:
        if self.favoured is None or pods == 1:
            return 1 / pods
        return self.favoured if number == 0 else (1 - self.favoured) / (pods - 1)

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


def _samples(
    counted: list[_Counted],
    quantiles: tuple[tuple[float, float], ...],
    in_time: float | None,
    rows: int,
) -> PodSamples:
    recent = counted[-4:]
    successes: tuple[Sample, ...] = tuple((c.at, c.answered) for c in recent)
    return PodSamples(
        successes=successes,
        failures=tuple((c.at, 0.0) for c in recent),
        pending=tuple((c.at, c.waiting) for c in recent),
        inferences=tuple((at, rows * value) for at, value in successes),
        quantiles=quantiles,
        buckets=() if in_time is None else _buckets(successes, in_time),
    )


def _buckets(
    successes: tuple[Sample, ...], in_time: float
) -> tuple[tuple[float, tuple[Sample, ...]], ...]:
    within = tuple((at, in_time * value) for at, value in successes)
    return ((THRESHOLD_SECONDS, within), (math.inf, successes))
