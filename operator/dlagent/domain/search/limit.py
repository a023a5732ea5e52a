"""What may be lost, and how a loss is told to people."""

from dataclasses import dataclass

from dlagent.api.types import Metric


@dataclass(frozen=True)
class Limit:
    """The largest loss that may serve: a share of the metric, or an error where that is the metric.

    `metric` None: nothing is judged, since there is no data set; then nothing may be lost.
    """

    metric: Metric | None
    max_drop: float
    k: int | None = None  # with TopK

    def say(self, drop: float) -> str:
        """A loss in words, such as "1.3 points of Accuracy"."""
        if self.metric is None:
            return "nothing"
        if self.metric is Metric.MAX_ABS_ERROR:
            return f"an error of {drop:.3g}"
        return f"{drop * 100:.2f} points of {self.name()}"

    def name(self) -> str:
        if self.metric is Metric.TOP_K:
            return f"Top{self.k}"
        return str(self.metric or "")
