"""The scaler: at each tick it gathers what is measured of all agents, and decides for each.

It writes nothing. Where a decision is new it wakes the agent's reconciler, which asks for `view`
and carries it out: so there is one writer an agent. The core calls `tick`; main gives it
Prometheus. What it keeps of an agent is small, since there may be thousands.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dlagent.api import names
from dlagent.api.types import KIND
from dlagent.domain.rollout.seen import Pod
from dlagent.domain.rollout.size import carried_over
from dlagent.domain.scaling.births import births
from dlagent.domain.scaling.decision import Decision, ScalingState, decide
from dlagent.domain.scaling.ledger import Ledger, account
from dlagent.domain.scaling.samples import PodSamples, SnapshotReading, without_warm_up
from dlagent.domain.scaling.signals import Signals, signals
from dlagent.domain.scaling.slo import SloJudgement, SloWindow, judge
from dlagent.domain.scaling.supply import supply
from dlagent.domain.scaling.values import NoData
from dlagent.domain.scaling.view import ScalingView
from dlagent.manifests.common import serving_selector
from dlagent.reconcile import observe
from dlagent.reconcile.figures import figures_of
from dlagent.reconcile.ports import Clock, ClusterReader, Key, MetricsSource, Object
from dlagent.reconcile.scaled import Scaled, scaled_agent
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


class Serving(NamedTuple):
    """What answers: a revision, the first characters of its artifact's key, and its size."""

    revision: str
    artifact: str
    replicas: int


@dataclass(slots=True)
class Entry:
    """What the scaler keeps of one agent. `requests` and `good` are counted since it began."""

    scaled: Scaled
    serving: Serving | None = None
    state: ScalingState = field(default_factory=ScalingState)
    births: dict[str, float] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    requests: float = 0.0
    good: float = 0.0
    signals: Signals | None = None
    view: ScalingView | None = None


class Scaler:
    """Decides for all agents; `wake(key)` asks for a visit to one, `decided(reason)` counts."""

    def __init__(
        self,
        reader: ClusterReader,
        source: MetricsSource,
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

    def view(self, key: Key) -> ScalingView | None:
        """What was decided last; None before the first tick."""
        entry = self._entries.get(key)
        return entry.view if entry is not None else None

    def figures(self) -> Iterator[AgentFigures]:
        """Of each agent, for the operator's metrics."""
        for key, entry in self._entries.items():
            yield figures_of(
                key, entry.scaled, entry.signals, entry.view, entry.requests, entry.good
            )

    async def tick(self) -> None:
        """Measure, and decide for each agent; then see whether promises are kept."""
        await self._refresh()
        now = self._clock.now().timestamp()
        lengths = {entry.scaled.window_days for entry in self._entries.values()}
        # Before anything is shown: a restart must not make verdicts come and go.
        await self._read_windows(now, lengths - self._windows.keys())
        snapshot = await self._source.snapshot(now)
        await self._each(lambda key: self._look(key, snapshot, now))
        # Behind the decisions, which must not wait for it.
        due = {
            days for days in lengths if not 0 <= now - self._windows[days].asked < _WINDOW_SECONDS
        }
        if due:
            await self._read_windows(now, due)
            await self._each(self._judge)

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
            return Entry(scaled, serving)
        if entry.scaled.mode is not scaled.mode:
            entry.state = ScalingState()
        if entry.scaled.generation != scaled.generation:
            entry.view = None  # its number may have been changed in between by hand
        entry.scaled, entry.serving = scaled, serving
        return entry

    def _serving(self, key: Key, obj: Object) -> Serving | None:
        revision = observe.told_revision(obj)
        for found in self._reader.list("Deployment", key.namespace, serving_selector(key.name)):
            labels = found["metadata"]["labels"]
            same = labels.get(names.REVISION_LABEL) == revision
            if same and revision is not None and not observe.is_deleting(found):
                artifact = labels.get(names.ARTIFACT_LABEL, "")
                return Serving(revision, artifact, observe.replicas(found))
        return None

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
        scaling = entry.scaled.settings
        found = observe.pods(self._reader.list("Pod", key.namespace, serving_selector(key.name)))
        samples: dict[str, PodSamples] = {}
        if not isinstance(snapshot, NoData):
            samples = _of_pods(key, found, snapshot.pods, entry.scaled.warm_up_requests)
            entry.births = births(entry.births, (pod.name for pod in found), samples)
        revision = entry.serving.revision if entry.serving is not None else ""
        pods = supply(found, revision, entry.births, now, scaling.pod_start_seconds)
        if isinstance(snapshot, NoData):
            seen = Signals(snapshot, self._replicas(key, entry), pods=pods)
        else:
            interval = self._settings.prometheus.scrape_interval_seconds
            seen = signals(samples, pods, self._replicas(key, entry), now, interval)
            entry.ledger, new = account(entry.ledger, samples, pods, scaling.threshold_seconds)
            entry.requests += new.requests
            entry.good += new.good
        entry.signals = seen
        self._show(key, entry, self._decide(entry, seen, now))

    def _judge(self, key: Key) -> None:
        entry = self._entries[key]
        self._show(key, entry, entry.view.decision if entry.view is not None else None)

    def _show(self, key: Key, entry: Entry, decision: Decision | None) -> None:
        """Hand it to the reconciler, and wake that where it would write something else."""
        scaled = entry.scaled
        view = ScalingView(scaled.uid, scaled.generation, decision, self._judged(key, entry))
        changed = entry.view is None or _outcome(view) != _outcome(entry.view)
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

    def _decide(self, entry: Entry, seen: Signals, now: float) -> Decision | None:
        if entry.serving is None or not entry.scaled.decides:
            return None
        entry.state, decision = decide(entry.state, seen, entry.scaled.settings, now)
        self._decided(decision.reason)
        return decision

    def _judged(self, key: Key, entry: Entry) -> SloJudgement:
        objective = entry.scaled.settings.objective
        recorded = self._windows[entry.scaled.window_days]
        windows = recorded.windows
        window = windows if isinstance(windows, NoData) else windows.get(key, _NO_RECORD)
        latency_missing = entry.signals is not None and entry.signals.latency_missing
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


def _outcome(view: ScalingView) -> Hashable:
    """What the reconciler would write of a view: equal outcomes need no visit."""
    decision, slo = view.decision, view.slo
    judged = (slo.verdict, slo.budget_left_percent, slo.observed_hours, slo.why)
    if decision is None:
        return judged
    limited = (decision.limit, decision.needed) if decision.limit is not None else None
    return (decision.desired, decision.blind, limited, judged)
