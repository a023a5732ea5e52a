"""Kubernetes' HorizontalPodAutoscaler (autoscaling/v2), on metrics that Prometheus has.

Page: https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/,
"Algorithm details" and "Configurable scaling behavior". Code: pkg/controller/podautoscaler,
replica_calculator.go and horizontal.go, as since Kubernetes 1.33 (where `Tolerances` came).
Every default is theirs. `dlagent.replay.policies` makes these policies, `keda` builds on them.

What Kubernetes leaves to others is taken to be so:
- A pod that is not ready and has no sample is Pending: most of a start is the image and the init
  container. One that is ready and has none is missing its metrics. One that has a sample counts,
  ready or not, as for every metric but the CPU.
- Metrics come through prometheus-adapter, which makes 0 of a NaN and an error of no series. Since
  a replay does not tell a NaN from no series, a pod's NaN is no series, the kinder of the two.
"""

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from dlagent.replay.baselines import replica
from dlagent.replay.policy import Flags, Floats, Manifest, Seen

SYNC_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period
_TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
_PODS_ADDED, _TIMES_ADDED = 4, 2  # the scale-up policies: 4 pods or 100 % in 15 s, the larger
_ROUNDING = 1e-9

Recommend = Callable[[Seen], int | None]


def by_pods_metric(values: Floats, ready: Flags, target: float, current: int) -> int | None:
    """A Pods metric with an averageValue of `target`: `calcPlainMetricReplicas`.

    `values` are NaN where a pod has no sample. None where no pod has one: nothing is changed.
    """
    known = ~np.isnan(values)
    measured = int(known.sum())
    if measured == 0:
        return None
    missing = int((ready & ~known).sum())
    pending = len(values) - measured - missing
    total = float(values[known].sum())
    ratio = total / (measured * target)
    if abs(ratio - 1) < _ROUNDING:
        return current
    damped = pending if ratio > 1 else 0
    if not damped and not missing:
        return current if _tolerated(ratio) else _ceil(ratio * measured)
    # Missing pods are taken to be at the target on the way down, and idle on the way up; pending
    # ones idle on the way up alone.
    if ratio < 1:
        total += missing * target
    pods = measured + missing + damped
    new_ratio = total / (pods * target)
    if _tolerated(new_ratio) or new_ratio < 1 < ratio:
        return current
    wanted = _ceil(new_ratio * pods)
    turned = wanted > current if new_ratio < 1 else wanted < current
    return current if turned else wanted


def by_value(value: float, ready: int, target: float, current: int) -> int:
    """An Object or External metric with a value of `target`: `getUsageRatioReplicaCount`."""
    ratio = value / target
    return current if _tolerated(ratio) else _ceil(ratio * ready)


def by_average_value(value: float, pods: int, target: float) -> int:
    """An External metric with an averageValue of `target`: `GetExternalPerPodMetricReplicas`.

    `pods` are all that the Deployment has, ready or not.
    """
    if pods and _tolerated(value / (pods * target)):
        return pods
    return _ceil(value / target)


class Hpa:
    """The control loop around one metric: stabilisation of the way down, limits of the way up."""

    period_seconds = SYNC_SECONDS

    def __init__(self, name: str, recommend: Recommend, stabilization_seconds: float) -> None:
        """`recommend` answers None where the metric is not to be had."""
        self.name = name
        self._recommend = recommend
        self._stabilization_seconds = stabilization_seconds
        self._recommended: deque[tuple[float, int]] = deque()

    def replicas(self, seen: Seen) -> int:
        """`normalizeDesiredReplicasWithBehaviors`, without the bounds.

        A recommendation counts for less than the window: 20 of them in 300 s. The scale-up
        policies' period is that of the loop, so that what counts as added in it is never older.
        """
        if not self._recommended:
            self._recommended.append((seen.now, seen.replicas))
        wanted = self._recommend(seen)
        if wanted is None:
            return seen.replicas
        while self._recommended and (
            self._recommended[0][0] <= seen.now - self._stabilization_seconds
        ):
            self._recommended.popleft()
        highest = max([wanted, *(earlier for _, earlier in self._recommended)])
        self._recommended.append((seen.now, wanted))
        limit = max(seen.replicas + _PODS_ADDED, seen.replicas * _TIMES_ADDED)
        return min(max(seen.replicas, wanted), highest, limit)


def hpa_rps(name: str, manifest: Manifest, target: float, stabilization_seconds: float) -> Hpa:
    """On requests/s a pod: `target` is the share of what one replica can do."""
    average = target * replica.requests_per_second(manifest)

    def recommend(seen: Seen) -> int | None:
        return by_pods_metric(seen.requests_per_second, seen.ready, average, seen.replicas)

    return Hpa(name, recommend, stabilization_seconds)


def hpa_busy(name: str, _: Manifest, target_percent: float, stabilization_seconds: float) -> Hpa:
    """On the accelerator's busy share, which exporters have per pod, in percent."""

    def recommend(seen: Seen) -> int | None:
        return by_pods_metric(seen.busy_share, seen.ready, target_percent / 100, seen.replicas)

    return Hpa(name, recommend, stabilization_seconds)


def hpa_latency(name: str, manifest: Manifest, target: float, stabilization_seconds: float) -> Hpa:
    """On the p99 of all pods as one Object metric: `target` is the share of the threshold.

    Where pods are scraped and nothing was answered the quantile is NaN, and the adapter says 0.
    """
    value = target * manifest.threshold_seconds

    def recommend(seen: Seen) -> int | None:
        p99_seconds = seen.p99_seconds
        if math.isnan(p99_seconds):
            if np.isnan(seen.requests_per_second).all():
                return None
            p99_seconds = 0.0
        return by_value(p99_seconds, int(seen.ready.sum()), value, seen.replicas)

    return Hpa(name, recommend, stabilization_seconds)


def _tolerated(ratio: float) -> bool:
    return 1 - _TOLERANCE <= ratio <= 1 + _TOLERANCE


def _ceil(replicas: float) -> int:
    """Kubernetes computes in whole thousandths, where 0.6 / 0.2 is 3 and not a little more."""
    return math.ceil(replicas - _ROUNDING)
