"""The operator's own policy in a replay: the functions that decide live, fed as they are live."""

from collections.abc import Mapping

from dlagent.domain.scaling.births import births
from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.ledger import Ledger
from dlagent.domain.scaling.look import look
from dlagent.domain.scaling.model import ScalingSettings, ScalingState
from dlagent.domain.scaling.samples import WINDOW_INTERVALS
from dlagent.domain.scaling.signals import PodSeen, Supply
from dlagent.replay.policy import Manifest, Seen

TICK_SECONDS = 10.0
HOLD_SECONDS = 120.0


class Ours:
    """`history` is what Prometheus has of the time before."""

    name = "ours"
    period_seconds = TICK_SECONDS

    def __init__(self, manifest: Manifest, history: History) -> None:
        self._scrape_seconds = manifest.scrape_seconds
        self._settings = ScalingSettings(
            service=manifest.service,
            threshold_seconds=manifest.threshold_seconds,
            objective=manifest.objective,
            min_replicas=manifest.min_replicas,
            max_replicas=manifest.max_replicas,
            tick_seconds=TICK_SECONDS,
            hold_seconds=HOLD_SECONDS,
            pod_start_seconds=manifest.pod_start_seconds,
        )
        self._state = ScalingState(history=history)
        self._births: Mapping[str, float] = {}
        self._ledger = Ledger()

    def replicas(self, seen: Seen) -> int:
        samples = seen.samples()
        ready = zip(seen.pods, seen.ready, seen.since_ready_seconds, strict=True)
        ready_since = {
            pod: seen.now - float(ago) if is_ready else None for pod, is_ready, ago in ready
        }
        window = WINDOW_INTERVALS * self._scrape_seconds
        self._births = births(self._births, ready_since, samples, seen.now, window)
        pods = tuple(self._pods(seen))
        self._ledger, _, measured = look(
            self._ledger,
            samples,
            pods,
            seen.replicas,
            seen.now,
            self._scrape_seconds,
            self._settings.threshold_seconds,
        )
        self._state, decision = decide(self._state, measured, self._settings, seen.now)
        return decision.desired

    def _pods(self, seen: Seen) -> list[PodSeen]:
        each = zip(
            seen.pods,
            seen.ready,
            seen.since_created_seconds,
            seen.since_ready_seconds,
            strict=True,
        )
        return [
            PodSeen(
                name=name,
                supply=Supply.READY if ready else Supply.STARTING,
                created=seen.now - float(created),
                ready_since=seen.now - float(since) if ready else None,
                counted_since=self._births[name],
            )
            for name, ready, created, since in each
        ]
