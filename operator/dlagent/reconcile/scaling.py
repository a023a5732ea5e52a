"""The scaler: at each tick it gathers what is measured of all agents, and decides for each.

It writes nothing. Where a decision is new it wakes the agent's reconciler, which asks for `view`
and carries it out: so there is one writer an agent. The core calls `tick`; main gives it
Prometheus and the pods' statistics. What it keeps of an agent is small, since there may be
thousands.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from dlagent.api import names
from dlagent.api.types import KIND
from dlagent.domain.rollout.seen import Pod
from dlagent.domain.rollout.size import carried_over
from dlagent.domain.scaling.births import births
from dlagent.domain.scaling.cost import used
from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.latency import LatencySignal
from dlagent.domain.scaling.look import look
from dlagent.domain.scaling.model import Decision, ScalingSettings, ScalingState
from dlagent.domain.scaling.past import remembered
from dlagent.domain.scaling.pod_starts import PodStarts, pod_start_seconds, pod_starts
from dlagent.domain.scaling.samples import (
    WINDOW_INTERVALS,
    PodSamples,
    SnapshotReading,
    without_warm_up,
)
from dlagent.domain.scaling.schedule import Occurrence, explained, most_demanding, raised
from dlagent.domain.scaling.signals import Signals
from dlagent.domain.scaling.situation import Situation
from dlagent.domain.scaling.skew import skew_of, watched
from dlagent.domain.scaling.slo import SloJudgement, SloWindow, judge
from dlagent.domain.scaling.supply import supply
from dlagent.domain.scaling.values import NoData
from dlagent.domain.scaling.view import ScalingView
from dlagent.manifests.common import serving_selector
from dlagent.manifests.deployment import deployment_name
from dlagent.reconcile import observe
from dlagent.reconcile.entry import Entry, Serving, outcome
from dlagent.reconcile.explain import situation
from dlagent.reconcile.figures import figures_of
from dlagent.reconcile.pasts import Pasts
from dlagent.reconcile.ports import (
    BatchStatistics,
    Clock,
    ClusterReader,
    Key,
    MetricsSource,
    Object,
)
from dlagent.reconcile.scaled import scaled_agent
from dlagent.reconcile.service_times import ServiceTimes
from dlagent.runtime.metrics import AgentFigures
from dlagent.runtime.settings import Settings

log = logging.getLogger(__name__)

_AT_A_TIME = 25  # agents, between which other work gets its turn
_WINDOW_SECONDS = 60.0  # how often the records of the SLO are read; they are written as often
_WINDOW_KEPT_SECONDS = 600.0  # for how long, where they cannot be read anew

_NO_RECORD = NoData("Prometheus has no record of its requests yet")


@dataclass(frozen=True)
class _Recorded:
    """What Prometheus has of the SLOs of all agents as of `at`, and when it was asked last."""

    asked: float
    at: float
    windows: Mapping[tuple[str, str], SloWindow] | NoData


class Scaler:
    """Decides for all agents; `wake(key)` asks for a visit to one, `decided(reason)` counts."""

    def __init__(
        self,
        reader: ClusterReader,
        source: MetricsSource,
        statistics: BatchStatistics,
        clock: Clock,
        settings: Settings,
        wake: Callable[[Key], None],
        decided: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._source = source
        self._clock = clock
        self._settings = settings
        self._wake = wake
        self._decided = decided
        self._entries: dict[Key, Entry] = {}
        self._windows: dict[int, _Recorded] = {}
        self._service_times = ServiceTimes(statistics)
        self._pasts = Pasts(source)

    def view(self, key: Key) -> ScalingView | None:
        """What was decided last; None before the first tick."""
        entry = self._entries.get(key)
        return entry.view if entry is not None else None

    def figures(self) -> Iterator[AgentFigures]:
        """Of each agent, for the operator's metrics."""
        for key, entry in self._entries.items():
            yield figures_of(
                key,
                entry.scaled,
                entry.settings,
                entry.signals,
                entry.view,
                entry.requests,
                entry.good,
                entry.usage,
            )

    def explain(self, key: Key) -> Situation | None:
        """What is known of an agent and why; None before the first tick, or after an edit."""
        entry = self._entries.get(key)
        if entry is None or entry.looked_at is None or entry.view is None:
            return None
        if entry.settings is None or entry.signals is None:
            return None
        starts = len(entry.starts.seconds)
        return situation(
            entry.scaled,
            entry.settings,
            entry.state,
            entry.signals,
            entry.view,
            starts,
            entry.looked_at,
        )

    async def tick(self) -> None:
        """Measure, and decide for each agent; then see whether promises are kept."""
        await self._refresh()
        now = self._clock.now().timestamp()
        lengths = {entry.scaled.window_days for entry in self._entries.values()}
        for unused in self._windows.keys() - lengths:
            del self._windows[unused]
        # Before anything is shown: a restart must not make verdicts come and go.
        await self._read_windows(now, lengths - self._windows.keys())
        await self._remember(now)
        thresholds = {entry.scaled.settings.threshold_seconds for entry in self._entries.values()}
        snapshot = await self._source.snapshot(now, thresholds)
        await self._each(lambda key: self._look(key, snapshot, now))
        # Behind the decisions, which must not wait for it.
        due = {
            days for days in lengths if not 0 <= now - self._windows[days].asked < _WINDOW_SECONDS
        }
        if due:
            await self._read_windows(now, due)
            await self._each(self._judge)
        await self._service_times.look(now)

    async def _remember(self, now: float) -> None:
        deciding = [key for key, entry in self._entries.items() if entry.scaled.decides]
        for key, past in (await self._pasts.read(deciding, now)).items():
            entry = self._entries[key]
            entry.state = remembered(entry.state, past, now)

    async def _each(self, look: Callable[[Key], None]) -> None:
        for number, key in enumerate(list(self._entries)):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            try:
                look(key)
            # The boundary between agents: one that cannot be looked at must not hold up others.
            except Exception:
                log.exception("the scaler cannot look at %s/%s", *key)

    async def _refresh(self) -> None:
        """One entry for each agent that can be served, with its spec as it is."""
        found = {Key(*key) for key in self._reader.keys(KIND)}
        for gone in self._entries.keys() - found:
            del self._entries[gone]
        self._pasts.keep(found)
        for number, key in enumerate(found):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            obj = self._reader.get(KIND, *key)
            try:
                entry = None if obj is None else self._entry(key, obj)
            # As in `_each`: whatever is wrong with the record of one artifact, others go on.
            except Exception:
                log.exception("the scaler cannot use %s/%s", *key)
                entry = None
            if entry is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = entry
        self._service_times.keep({key for key, entry in self._entries.items() if entry.learns})

    def _entry(self, key: Key, obj: Object) -> Entry | None:
        if observe.is_deleting(obj):
            return None
        serving = self._serving(key, obj)
        artifact = serving.artifact if serving is not None else ""
        entry = self._entries.get(key)
        if entry is not None and entry.scaled.is_of(obj, artifact):
            entry.serving = serving
            return entry
        scaled = scaled_agent(obj, artifact, self._reader, self._settings)
        if scaled is None:
            return None
        if entry is None or entry.scaled.uid != scaled.uid:
            self._pasts.forget(key)
            return Entry(scaled, PodStarts(self._clock.now().timestamp()), serving)
        if entry.scaled.mode is not scaled.mode:
            entry.state = ScalingState()
            self._pasts.forget(key)
        elif scaled.decides and not entry.scaled.decides:
            self._pasts.forget(key)  # what came while it was paused is recorded
        if entry.scaled.generation != scaled.generation:
            entry.view = None  # its number may have been changed in between by hand
        entry.scaled, entry.serving = scaled, serving
        return entry

    def _serving(self, key: Key, obj: Object) -> Serving | None:
        revision = observe.told_revision(obj)
        if revision is None:
            return None
        name = deployment_name(key.name, revision)
        found = self._reader.get("Deployment", key.namespace, name)
        if found is None or observe.revision_of(found) != revision or observe.is_deleting(found):
            return None
        artifact = found["metadata"]["labels"].get(names.ARTIFACT_LABEL, "")
        return Serving(revision, artifact, observe.replicas(found))

    async def _read_windows(self, now: float, lengths: Set[int]) -> None:
        """Ask for the records of so many days each.

        An answer that fails leaves the one before it for a while: windows are of days.
        """
        wanted = sorted(lengths)
        answers = await asyncio.gather(*(self._source.slo_windows(now, days) for days in wanted))
        for days, windows in zip(wanted, answers, strict=True):
            known = self._windows.get(days)
            if isinstance(windows, NoData) and known is not None and _is_recent(known, now):
                self._windows[days] = replace(known, asked=now)
            else:
                self._windows[days] = _Recorded(now, now, windows)

    def _look(self, key: Key, snapshot: SnapshotReading, now: float) -> None:
        entry = self._entries[key]
        found = observe.pods(self._reader.list("Pod", key.namespace, serving_selector(key.name)))
        entry.starts = pod_starts(entry.starts, found)
        scaling = self._settings_of(key, entry, found, now)
        samples: dict[str, PodSamples] = {}
        if not isinstance(snapshot, NoData):
            samples = _of_pods(key, found, snapshot.pods, entry.scaled.warm_up_requests)
            entry.births = self._births(entry, found, samples, now)
        revision = entry.serving.revision if entry.serving is not None else ""
        pods = supply(found, revision, entry.births, now, scaling.pod_start_seconds)
        if isinstance(snapshot, NoData):
            seen = Signals(snapshot, self._replicas(key, entry), pods=pods)
        else:
            interval = self._settings.prometheus.scrape_interval_seconds
            replicas, cached = self._replicas(key, entry), entry.scaled.cached
            threshold = scaling.threshold_seconds
            entry.ledger, new, seen = look(
                entry.ledger, samples, pods, replicas, now, interval, threshold, cached
            )
            entry.requests += new.requests
            entry.good += new.good
            entry.latency_signal = new.signal or entry.latency_signal
        elapsed = now - entry.looked_at if entry.looked_at is not None else 0.0
        each, price = entry.scaled.accelerators, entry.scaled.price
        entry.usage = used(entry.usage, pods, each, price, elapsed, scaling.tick_seconds)
        entry.looked_at = now
        entry.signals = seen
        scheduled = self._scheduled(entry, scaling, now)
        entry.settings = raised(scaling, scheduled)
        decision = self._decide(entry, seen, scaling, scheduled, now)
        if decision is not None and decision.capacity is not None:
            rows_at_once = scaling.service.at_once if scaling.service is not None else 1
            at_once = rows_at_once / seen.inferences_per_request
            skew = skew_of(seen.loads, decision.capacity, at_once)
            entry.skew = watched(entry.skew, skew, now)
        self._show(key, entry, decision, scheduled)

    def _births(
        self, entry: Entry, pods: tuple[Pod, ...], samples: Mapping[str, PodSamples], now: float
    ) -> dict[str, float]:
        since = {pod.name: pod.ready_since for pod in pods}
        ready = {name: at.timestamp() if at is not None else None for name, at in since.items()}
        window = WINDOW_INTERVALS * self._settings.prometheus.scrape_interval_seconds
        return births(entry.births, ready, samples, now, window)

    def _judge(self, key: Key) -> None:
        entry = self._entries[key]
        decision = entry.view.decision if entry.view is not None else None
        scheduled = entry.view.scheduled if entry.view is not None else None
        self._show(key, entry, decision, scheduled)

    def _show(
        self, key: Key, entry: Entry, decision: Decision | None, scheduled: Occurrence | None
    ) -> None:
        """Hand it to the reconciler, and wake that where it would write something else."""
        scaled, judged = entry.scaled, self._judged(key, entry)
        skew = entry.skew.lasting if entry.skew is not None else None
        signal = entry.latency_signal
        view = ScalingView(scaled.uid, scaled.generation, decision, judged, signal, skew, scheduled)
        changed = entry.view is None or outcome(view) != outcome(entry.view)
        entry.view = view
        if changed:
            self._wake(key)

    def _replicas(self, key: Key, entry: Entry) -> int:
        """How many are asked for: by the decision before, or as the cluster remembers it."""
        if entry.view is not None and entry.view.decision is not None:
            return entry.view.decision.desired
        present = entry.serving.replicas if entry.serving is not None else 0
        if not entry.scaled.decides:
            return present
        told, told_in = observe.told_replicas(self._reader.get(KIND, *key))
        return carried_over(entry.scaled.mode, told, told_in, present)

    def _settings_of(
        self, key: Key, entry: Entry, pods: tuple[Pod, ...], now: float
    ) -> ScalingSettings:
        """Those of the spec, with what was learned in place of the build's and the runtime's."""
        settings, serving = entry.scaled.settings, entry.serving
        start = pod_start_seconds(entry.starts, settings.pod_start_seconds)
        service = settings.service
        if service is not None and serving is not None and entry.learns:
            service = self._service_times.service(key, serving.revision, service, pods, now)
        return replace(settings, service=service, pod_start_seconds=start)

    def _scheduled(self, entry: Entry, settings: ScalingSettings, now: float) -> Occurrence | None:
        """What raises the lower bound. Pods are to be ready by then, and a tick may come late."""
        lead_seconds = settings.pod_start_seconds + settings.tick_seconds
        return most_demanding(entry.scaled.schedule, now, lead_seconds)

    def _decide(
        self,
        entry: Entry,
        seen: Signals,
        settings: ScalingSettings,
        scheduled: Occurrence | None,
        now: float,
    ) -> Decision | None:
        if entry.serving is None or not entry.scaled.decides:
            return None
        entry.state, decision = decide(entry.state, seen, raised(settings, scheduled), now)
        self._decided(decision.reason)
        return explained(decision, settings, scheduled)

    def _judged(self, key: Key, entry: Entry) -> SloJudgement:
        objective = entry.scaled.settings.objective
        recorded = self._windows[entry.scaled.window_days]
        windows = recorded.windows
        window = windows if isinstance(windows, NoData) else windows.get(key, _NO_RECORD)
        without_quantiles = entry.signals is not None and entry.signals.latency_missing
        latency_missing = without_quantiles and entry.latency_signal is not LatencySignal.HISTOGRAM
        return judge(window, objective, latency_missing)


def _is_recent(known: _Recorded, now: float) -> bool:
    """Whether it may stand in for an answer that did not come."""
    if isinstance(known.windows, NoData):
        return False
    return 0 <= now - known.at < _WINDOW_KEPT_SECONDS


def _of_pods(
    key: Key,
    pods: tuple[Pod, ...],
    samples: Mapping[tuple[str, str], PodSamples],
    warm_up_requests: int,
) -> dict[str, PodSamples]:
    found = ((pod.name, samples.get((key.namespace, pod.name))) for pod in pods)
    return {name: without_warm_up(its, warm_up_requests) for name, its in found if its is not None}
