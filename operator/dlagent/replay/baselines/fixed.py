"""No autoscaler: the same number of replicas all the time.

The cheapest one that keeps the promise is what somebody pays who sizes for the peak.
`dlagent.replay.policies` makes it.
"""

from dlagent.replay.policy import Manifest, Seen

_MINUTE = 60.0


class Fixed:
    """Always `n`."""

    period_seconds = _MINUTE

    def __init__(self, name: str, _: Manifest, n: int) -> None:
        self.name = name
        self._n = n

    def replicas(self, _: Seen) -> int:
        """Whatever is seen."""
        return self._n
