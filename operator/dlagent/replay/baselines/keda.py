"""KEDA's Prometheus trigger, which feeds a HorizontalPodAutoscaler.

Pages: https://keda.sh/docs/2.17/scalers/prometheus/, .../2.17/reference/scaledobject-spec/ and
.../2.17/concepts/scaling-deployments/ (KEDA 2.17). Code: pkg/scalers/prometheus_scaler.go.
`dlagent.replay.policies` makes it.

From one replica on the HPA asks, every 15 s, and KEDA asks Prometheus at that moment, unless
`useCachedMetrics` is set. The pollingInterval of 30 s and the cooldownPeriod of 300 s are of the
way to zero and back, which no agent here goes.
"""

import numpy as np

from dlagent.replay.baselines import replica
from dlagent.replay.baselines.hpa import Hpa, by_average_value
from dlagent.replay.policy import Manifest, Seen


def keda_rps(name: str, manifest: Manifest, target: float, stabilization_seconds: float) -> Hpa:
    """On `sum(rate(...))` as an External metric with an averageValue, KEDA's default metricType.

    `target` (there `threshold`) is the share of what one replica can do. A pod without a sample is
    not in the sum; no pod at all is 0, since `ignoreNullValues` is true by default.
    """
    average = target * replica.requests_per_second(manifest)

    def recommend(seen: Seen) -> int:
        total = float(np.nansum(seen.requests_per_second))
        return by_average_value(total, len(seen.pods), average)

    return Hpa(name, recommend, stabilization_seconds)
