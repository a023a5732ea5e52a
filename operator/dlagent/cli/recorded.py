"""What Prometheus has recorded of one agent. Called by `dlagent explain`.

The operator's gauges at a moment make a `Situation`; its counters, and the recording rules of the
chart, what was spent in the day before.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from dlagent.cli.agent_client import Endpoint
from dlagent.cli.errors import CliError
from dlagent.domain.scaling.model import Foreseen
from dlagent.domain.scaling.situation import Decided, Load, Replica, Situation, Spent

_HOURS = 24
_REQUESTS, _GOOD = "dlagent:slo_requests:increase5m", "dlagent:slo_good_requests:increase5m"
_FORESEEN = {
    "seconds": "dlagent_foreseen_horizon_seconds",
    "rate": "dlagent_foreseen_requests_per_second",
    "peak": "dlagent_foreseen_peak_requests_per_second",
    "missed": "dlagent_foreseen_missed_requests",
    "missed_with_one_less": "dlagent_foreseen_missed_with_one_less_requests",
    "price": "dlagent_miss_price_replica_seconds",
}
_NOT_AS_DOCUMENTED = (AttributeError, IndexError, KeyError, TypeError, ValueError)

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Recorder:
    """One agent's series in one Prometheus. Every method raises CliError where that fails."""

    endpoint: Endpoint
    namespace: str
    agent: str

    def situation(self, at: float) -> Situation | None:
        """As the operator's metrics had it at a time (Unix seconds); None where they had nothing.

        That is the last scrape of the five minutes before, as Prometheus looks back.
        """
        figures = _Figures()
        for labels, value in self._ask(f'{{__name__=~"dlagent_.+",{self._matchers}}}', at):
            figures.add(labels, value)
        objective = figures.one("dlagent_slo_objective_ratio")
        threshold = figures.one("dlagent_slo_threshold_seconds")
        if objective is None or threshold is None:
            return None
        return Situation(
            at=at,
            objective=objective,
            threshold_seconds=threshold,
            load=_load(figures),
            replica=Replica(
                capacity=figures.one("dlagent_replica_capacity_requests_per_second"),
                start_seconds=figures.one("dlagent_pod_start_seconds"),
            ),
            foreseen=_foreseen(figures),
            decided=_decided(figures),
        )

    def spent(self, at: float) -> Spent:
        """In the day before, as far as it was recorded."""
        good, asked = f"{_GOOD}{{{self._matchers}}}", f"{_REQUESTS}{{{self._matchers}}}"
        budget = f"dlagent:slo_error_budget:ratio{{{self._matchers}}}"
        day = (
            f"(1 - clamp_max(sum_over_time({good}[{_HOURS}h])"
            f" / (sum_over_time({asked}[{_HOURS}h]) > 0), 1)) / {budget}"
        )
        hour = f"dlagent:slo_burn_rate:1h{{{self._matchers}}}"
        return Spent(
            hours=_HOURS,
            replica_seconds=self._increase("dlagent_replica_seconds_total", "", at).get(""),
            accelerator_seconds=self._increase("dlagent_accelerator_seconds_total", "resource", at),
            costs=self._increase("dlagent_cost_total", "currency", at),
            requests=self._increase("dlagent_slo_requests_total", "", at).get(""),
            burn_hour=_first(self._ask(hour, at)),
            burn_day=_first(self._ask(day, at)),
        )

    @property
    def _matchers(self) -> str:
        # PromQL quotes as JSON does.
        return f"agent_namespace={json.dumps(self.namespace)},agent={json.dumps(self.agent)}"

    def _increase(self, counter: str, label: str, at: float) -> dict[str, float]:
        """Of a counter in the day before, by a label ("": all together)."""
        query = f"sum by ({label}) (increase({counter}{{{self._matchers}}}[{_HOURS}h]))"
        return {labels.get(label, ""): value for labels, value in self._ask(query, at)}

    def _ask(self, query: str, at: float) -> list[tuple[Labels, float]]:
        """The result of an instant query; NaN is left out."""
        form = urlencode({"query": query, "time": f"{at:.3f}"})
        answer = self.endpoint.request("GET", f"/api/v1/query?{form}")
        if answer.status != 200:
            raise CliError(f"Prometheus answered HTTP {answer.status}: {_said(answer.data)}")
        try:
            result = json.loads(answer.data)["data"]["result"]
            found = [(each["metric"], float(each["value"][1])) for each in result]
        except _NOT_AS_DOCUMENTED as error:
            raise CliError("what answers in Prometheus' place is no Prometheus") from error
        return [(labels, value) for labels, value in found if value == value]


@dataclass(frozen=True)
class _Figures:
    """Values by metric, and those of metrics with a further label by that label."""

    values: dict[str, float] = field(default_factory=dict)
    labelled: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, labels: Labels, value: float) -> None:
        name = labels["__name__"]
        self.values[name] = value
        for label in ("state", "reason", "quantile"):
            if label in labels:
                self.labelled[name][labels[label]] = value

    def one(self, name: str) -> float | None:
        return self.values.get(name)

    def whole(self, name: str) -> int | None:
        value = self.values.get(name)
        return None if value is None else round(value)

    def by_label(self, name: str) -> dict[str, float]:
        return self.labelled.get(name, {})


def _load(figures: _Figures) -> Load:
    return Load(
        arrivals=figures.one("dlagent_arrival_requests_per_second"),
        waiting=figures.one("dlagent_waiting_requests"),
        p99_seconds=figures.by_label("dlagent_latency_seconds").get("0.99"),
        pods=_pods(figures),
    )


def _pods(figures: _Figures) -> dict[str, int]:
    unready = figures.by_label("dlagent_unready_pods")
    found = {state: round(count) for state, count in unready.items()}
    ready = figures.whole("dlagent_ready_replicas")
    return found if not ready else {"ready": ready, **found}


def _foreseen(figures: _Figures) -> Foreseen | None:
    found = {
        part: value for part, name in _FORESEEN.items() if (value := figures.one(name)) is not None
    }
    return Foreseen(**found) if len(found) == len(_FORESEEN) else None


def _decided(figures: _Figures) -> Decided | None:
    desired = figures.whole("dlagent_desired_replicas")
    if desired is None:
        return None
    return Decided(
        desired=desired,
        reason=next(iter(figures.by_label("dlagent_scaling_reason")), None),
        needed=figures.whole("dlagent_needed_replicas"),
        min_replicas=figures.whole("dlagent_min_replicas"),
        max_replicas=figures.whole("dlagent_max_replicas"),
    )


def _first(found: list[tuple[Labels, float]]) -> float | None:
    return found[0][1] if found else None


def _said(body: bytes) -> str:
    """What a server said, in one line."""
    return " ".join(body.decode(errors="replace").split())[:300]
