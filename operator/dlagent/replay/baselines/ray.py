"""Ray Serve's autoscaler on ongoing requests.

Page: https://docs.ray.io/en/latest/serve/advanced-guides/advanced-autoscaling.html, of 2026: its
target_ongoing_requests is 2 by default, as since Ray 2.32. Code:
python/ray/serve/autoscaling_policy.py at 00590c45. Every default is theirs.
`dlagent.replay.policies` makes it.

Ray decides ten times a second on figures that come every 10 s. Between two of them it only counts
decisions, so here it is asked when figures come, and time is counted instead.
"""

import math
from collections import deque

import numpy as np

from dlagent.replay.policy import Manifest, Seen

_METRICS_INTERVAL_SECONDS = 10.0
_LOOK_BACK_SECONDS = 30.0
_UPSCALE_DELAY_SECONDS = 30.0


class Ray:
    """Scales when it has wanted to, in the same direction, for the whole delay."""

    period_seconds = _METRICS_INTERVAL_SECONDS

    def __init__(
        self, name: str, manifest: Manifest, target: float, downscale_delay_seconds: float
    ) -> None:
        self.name = name
        self._target = target
        self._downscale_delay_seconds = downscale_delay_seconds
        self._bounds = manifest.min_replicas, manifest.max_replicas
        self._ongoing: deque[tuple[float, float]] = deque()
        self._direction = 0
        self._since = 0.0

    def replicas(self, seen: Seen) -> int:
        """`replica_queue_length_autoscaling_policy`; with no replica running it waits for one."""
        ongoing = self._mean_ongoing(seen)
        if not seen.ready.any():
            return seen.replicas
        least, most = self._bounds
        # Both scaling factors are 1, so that the number of running replicas cancels out.
        wanted = min(max(math.ceil(ongoing / self._target), least), most)
        return wanted if self._is_time(seen.now, wanted - seen.replicas) else seen.replicas

    def _mean_ongoing(self, seen: Seen) -> float:
        """All requests over the look-back period, 0 where nobody reported any."""
        known = seen.concurrency[~np.isnan(seen.concurrency)]
        if known.size:
            self._ongoing.append((seen.now, float(known.sum())))
        while self._ongoing and self._ongoing[0][0] <= seen.now - _LOOK_BACK_SECONDS:
            self._ongoing.popleft()
        if not self._ongoing:
            return 0.0
        return sum(total for _, total in self._ongoing) / len(self._ongoing)

    def _is_time(self, now: float, change: int) -> bool:
        """Whether it has been the same direction for the delay, which then begins anew."""
        direction = (change > 0) - (change < 0)
        if direction != self._direction:
            self._direction, self._since = direction, now
        delay_seconds = _UPSCALE_DELAY_SECONDS if direction > 0 else self._downscale_delay_seconds
        if direction == 0 or now - self._since < delay_seconds:
            return False
        self._since = now
        return True
