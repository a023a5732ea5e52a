"""What may be lost, and how a loss is told to people. Made of spec.build.gate; without scipy."""

from dataclasses import dataclass

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.metrics import Metric


@dataclass(frozen=True)
class Limit:
    """`at_most` is a share (0.01 is one point); for MaxAbsError it is in the outputs' unit."""

    metric: Metric
    at_most: float

    def say(self, drop: float) -> str:
        """A loss in words, such as "1.30 points of Accuracy"."""
        if self.metric.kind is MetricKind.MAX_ABS_ERROR:
            return f"an error of {drop:.3g}"
        return f"{drop * 100:.2f} points of {self.metric}"


# Without a data set nothing is judged, and so nothing may be lost.
NO_LOSS = Limit(Metric(MetricKind.MAX_ABS_ERROR), 0.0)
