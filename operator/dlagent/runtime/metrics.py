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

# For each counter and histogram one more series with its birth, which nobody here reads.
disable_created_metrics()  # type: ignore[no-untyped-call]  # ships half of its types


@dataclass(frozen=True)
class AgentFigures:
    """One agent's load and promise; None, or an absent latency, is what is not known.

    `requests` and `good` are counters since the process began. Rates are requests/s.
    """

    namespace: str
    name: str
    requests: float
    good: float
    objective: float
    threshold_seconds: float
    attained: float | None
    desired: int | None
    ready: int | None
    capacity: float | None
    arrivals: float | None
    backlog: float | None
    latency_seconds: Mapping[float, float]


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

    def observe_agents(self, read: Callable[[], Iterable[AgentFigures]]) -> None:
        """Load and promise of each agent, read when they are scraped."""
        self.registry.register(_Agents(read))

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
        ("dlagent_ready_replicas", "Replicas that answer.", "ready"),
        (
            "dlagent_replica_capacity_requests_per_second",
            "Requests that one replica answers within the promise.",
            "capacity",
        ),
        ("dlagent_arrival_requests_per_second", "Requests that arrive.", "arrivals"),
        ("dlagent_waiting_requests", "Requests that wait for a batch.", "backlog"),
    )
    _COUNTERS = (
        (
            "dlagent_slo_requests",
            "Requests answered or failed, since the process began.",
            "requests",
        ),
        ("dlagent_slo_good_requests", "Of these, answered in time (an estimate).", "good"),
    )
    _LABELS = ("agent_namespace", "agent")

    def __init__(self, read: Callable[[], Iterable[AgentFigures]]) -> None:
        self._read = read

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
        yield self._latency(agents)

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
