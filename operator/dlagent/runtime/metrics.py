"""The operator's own metrics, by the conventions of Prometheus.

One `Metrics` a process, with a registry of its own, so that tests can have several. The queue
reports to it as `queue.QueueObserver`; `server` renders it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dlagent.domain.scaling.model import Foreseen

# For each counter and histogram one more series with its birth, which nobody here reads.
disable_created_metrics()  # type: ignore[no-untyped-call]  # ships half of its types


@dataclass(frozen=True)
class AgentFigures:
    """One agent's load and promise; None, or an absent latency, is what is not known.

    `requests`, `good`, `cost` and the seconds are counters since the process began. Rates are
    requests/s. `accelerator` is the resource that replicas have; None where they have none.
    `unready` are pods that do not answer, by state. The bounds are those that the last decision
    kept, a scheduled event included.
    """

    namespace: str
    name: str
    requests: float
    good: float
    objective: float
    threshold_seconds: float
    attained: float | None
    desired: int | None
    needed: int | None
    reason: str | None
    min_replicas: int | None
    max_replicas: int | None
    foreseen: Foreseen | None
    pod_start_seconds: float | None
    unready: Mapping[str, int]
    ready: int | None
    capacity: float | None
    arrivals: float | None
    backlog: float | None
    latency_seconds: Mapping[float, float]
    replica_seconds: float
    accelerator: str | None
    accelerator_seconds: float
    cost: float | None


_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._reconcile = Histogram(
            "dlagent_reconcile_duration_seconds",
            "Time that a reconcile of one agent took.",
            ["result"],
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._wait = Histogram(
            "dlagent_queue_wait_seconds",
            "Time that an agent waited in the queue for a worker.",
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._retries = Counter(
            "dlagent_reconcile_retries_total",
            "Reconciles that failed and were queued again.",
            registry=self.registry,
        )
        self._requests = Counter(
            "dlagent_api_requests_total",
            "Requests to the apiserver but for watches, by verb, kind and HTTP status (0: none).",
            ["verb", "kind", "status"],
            registry=self.registry,
        )
        self._ghosts = Counter(
            "dlagent_cache_ghosts_total",
            "Objects whose deletion no watch reported, found by a list.",
            ["kind"],
            registry=self.registry,
        )
        self._events = Counter(
            "dlagent_watch_events_total", "Events of the watches.", ["kind"], registry=self.registry
        )
        self._decisions = Counter(
            "dlagent_scale_decisions_total",
            "Decisions about the number of replicas, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._tick = Histogram(
            "dlagent_scaling_tick_duration_seconds",
            "Time that one look of the scaler at all agents took, its questions included.",
            buckets=_DURATIONS,
            registry=self.registry,
        )
        self._sweeps = Counter(
            "dlagent_sweeps_total",
            "Sweeps of a namespace's store that ended, by result (success, error).",
            ["result"],
            registry=self.registry,
        )
        self._swept = Counter(
            "dlagent_swept_artifacts_total",
            "Artifacts that no agent named, removed by sweeps.",
            registry=self.registry,
        )
        self._swept_bytes = Counter(
            "dlagent_swept_bytes_total", "Their size.", registry=self.registry
        )
        self.leader = Gauge("dlagent_leader", "1 while this process leads.", registry=self.registry)

    def started(self, waited_seconds: float) -> None:
        """A worker took an agent from the queue."""
        self._wait.observe(waited_seconds)

    def finished(self, duration_seconds: float, result: str) -> None:
        """A reconcile ended: success, error or cancelled."""
        self._reconcile.labels(result).observe(duration_seconds)
        if result == "error":
            self._retries.inc()

    def requested(self, verb: str, kind: str, status: int) -> None:
        """The apiserver answered a request; status 0: it did not."""
        self._requests.labels(verb, kind, str(status)).inc()

    def ghosts(self, kind: str, count: int) -> None:
        self._ghosts.labels(kind).inc(count)

    def watched(self, kind: str) -> None:
        """A watch brought an event."""
        self._events.labels(kind).inc()

    def decided(self, reason: str) -> None:
        """The scaler decided about one agent."""
        self._decisions.labels(reason).inc()

    def ticked(self, duration_seconds: float) -> None:
        """The scaler has looked at all agents."""
        self._tick.observe(duration_seconds)

    def swept(self, artifacts: int, size_bytes: int) -> None:
        """A sweep ended, and removed so much."""
        self._sweeps.labels("success").inc()
        self._swept.inc(artifacts)
        self._swept_bytes.inc(size_bytes)

    def sweep_failed(self) -> None:
        self._sweeps.labels("error").inc()

    def observe_agents(
        self, read: Callable[[], Iterable[AgentFigures]], currency: str | None
    ) -> None:
        """Load, promise and cost of each agent, read when they are scraped.

        `currency` is what prices are in; None where none are known.
        """
        self.registry.register(_Agents(read, currency or ""))

    def observe(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is scraped."""
        self.registry.register(_Read(name, help_, read))

    def observe_by_kind(self, name: str, help_: str, read: Callable[[], dict[str, float]]) -> None:
        """A gauge with the label kind that is read when it is scraped."""
        self.registry.register(_ReadByKind(name, help_, read))

    def render(self) -> bytes:
        """The text format."""
        return generate_latest(self.registry)


class _Read(Collector):
    def __init__(self, name: str, help_: str, read: Callable[[], float]) -> None:
        self._name, self._help, self._read = name, help_, read

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(self._name, self._help)]

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(self._name, self._help, value=self._read())


class _ReadByKind(Collector):
    def __init__(self, name: str, help_: str, read: Callable[[], dict[str, float]]) -> None:
        self._name, self._help, self._read = name, help_, read

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(self._name, self._help, labels=["kind"])]

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._help, labels=["kind"])
        for kind, value in sorted(self._read().items()):
            family.add_metric([kind], value)
        yield family


class _Agents(Collector):
    """Gauges and counters with the labels agent_namespace and agent."""

    _GAUGES = (
        ("dlagent_slo_objective_ratio", "Share of requests that must be in time.", "objective"),
        ("dlagent_slo_threshold_seconds", "Time within which they must be.", "threshold_seconds"),
        (
            "dlagent_slo_attained_ratio",
            "Share of requests that were in time over the window, as far as it was seen.",
            "attained",
        ),
        ("dlagent_desired_replicas", "Replicas that the scaler wants.", "desired"),
        (
            "dlagent_needed_replicas",
            "Replicas that would be enough without bounds, the most of the hold time.",
            "needed",
        ),
        ("dlagent_min_replicas", "Lower bound, as a scheduled event raises it.", "min_replicas"),
        ("dlagent_max_replicas", "Upper bound.", "max_replicas"),
        ("dlagent_ready_replicas", "Replicas that answer.", "ready"),
        (
            "dlagent_pod_start_seconds",
            "Time within which nine in ten pods are ready.",
            "pod_start_seconds",
        ),
        (
            "dlagent_replica_capacity_requests_per_second",
            "Requests that one replica answers within the promise.",
            "capacity",
        ),
        ("dlagent_arrival_requests_per_second", "Requests that arrive.", "arrivals"),
        ("dlagent_waiting_requests", "Requests that wait for a batch.", "backlog"),
    )
    # Of what a decision expects, each a field of Foreseen.
    _FORESEEN = (
        ("dlagent_foreseen_horizon_seconds", "How far a decision looks ahead.", "seconds"),
        (
            "dlagent_foreseen_requests_per_second",
            "Mean rate that is expected until then.",
            "rate",
        ),
        (
            "dlagent_foreseen_peak_requests_per_second",
            "Rate that one minute of them exceeds one time in twenty.",
            "peak",
        ),
        (
            "dlagent_foreseen_missed_requests",
            "Requests expected to miss the promise until then.",
            "missed",
        ),
        (
            "dlagent_foreseen_missed_with_one_less_requests",
            "As many with one replica less.",
            "missed_with_one_less",
        ),
        (
            "dlagent_miss_price_replica_seconds",
            "What a missed request is worth to the scaler.",
            "price",
        ),
    )
    _COUNTERS = (
        (
            "dlagent_slo_requests",
            "Requests answered or failed, since the process began.",
            "requests",
        ),
        (
            "dlagent_slo_good_requests",
            "Of these, answered in time (status.slo.latencySignal: counted or estimated).",
            "good",
        ),
        (
            "dlagent_replica_seconds",
            "Time of all replicas that a node has taken, since the process began.",
            "replica_seconds",
        ),
    )
    _LABELS = ("agent_namespace", "agent")

    def __init__(self, read: Callable[[], Iterable[AgentFigures]], currency: str) -> None:
        self._read, self._currency = read, currency

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(name, text) for name, text, _ in self._GAUGES]

    def collect(self) -> Iterable[Metric]:
        agents = list(self._read())
        kinds = ((GaugeMetricFamily, self._GAUGES), (CounterMetricFamily, self._COUNTERS))
        for kind, metrics in kinds:
            for name, text, field in metrics:
                family = kind(name, text, labels=self._LABELS)
                for agent in agents:
                    value = getattr(agent, field)
                    if value is not None:
                        family.add_metric((agent.namespace, agent.name), value)
                yield family
        yield from self._foreseen(agents)
        yield self._reasons(agents)
        yield self._unready(agents)
        yield self._latency(agents)
        yield self._accelerators(agents)
        yield self._cost(agents)

    def _foreseen(self, agents: list[AgentFigures]) -> Iterable[Metric]:
        for name, text, field in self._FORESEEN:
            family = GaugeMetricFamily(name, text, labels=self._LABELS)
            for agent in agents:
                if agent.foreseen is not None:
                    value = getattr(agent.foreseen, field)
                    family.add_metric((agent.namespace, agent.name), value)
            yield family

    def _reasons(self, agents: list[AgentFigures]) -> Metric:
        family = GaugeMetricFamily(
            "dlagent_scaling_reason",
            "1 for the reason of the last decision.",
            labels=(*self._LABELS, "reason"),
        )
        for agent in agents:
            if agent.reason is not None:
                family.add_metric((agent.namespace, agent.name, agent.reason), 1)
        return family

    def _unready(self, agents: list[AgentFigures]) -> Metric:
        family = GaugeMetricFamily(
            "dlagent_unready_pods",
            "Pods that do not answer, by state; a state without pods is absent.",
            labels=(*self._LABELS, "state"),
        )
        for agent in agents:
            for state, count in agent.unready.items():
                family.add_metric((agent.namespace, agent.name, state), count)
        return family

    def _latency(self, agents: list[AgentFigures]) -> Metric:
        family = GaugeMetricFamily(
            "dlagent_latency_seconds",
            "Latency of all pods together, by quantile (an estimate).",
            labels=(*self._LABELS, "quantile"),
        )
        for agent in agents:
            for share, seconds in agent.latency_seconds.items():
                family.add_metric((agent.namespace, agent.name, str(share)), seconds)
        return family

    def _accelerators(self, agents: list[AgentFigures]) -> Metric:
        family = CounterMetricFamily(
            "dlagent_accelerator_seconds",
            "Time of all accelerators that replicas had, since the process began.",
            labels=(*self._LABELS, "resource"),
        )
        for agent in agents:
            if agent.accelerator is not None:
                labels = (agent.namespace, agent.name, agent.accelerator)
                family.add_metric(labels, agent.accelerator_seconds)
        return family

    def _cost(self, agents: list[AgentFigures]) -> Metric:
        family = CounterMetricFamily(
            "dlagent_cost",
            "Price of the replicas' time, since the process began, by the operator's settings.",
            labels=(*self._LABELS, "currency"),
        )
        for agent in agents:
            if agent.cost is not None:
                family.add_metric((agent.namespace, agent.name, self._currency), agent.cost)
        return family
