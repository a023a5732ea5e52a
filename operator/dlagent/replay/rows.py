"""What a run of a replay comes to: the rows of `dlagent replay`'s tables and of its JSON.

Made from the engine's Outcome by `dlagent.replay.compare`; the benchmarks read the same rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from dlagent.replay.engine import Outcome
from dlagent.replay.scraped import quantiles

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """One policy against the requests of one seed.

    - `attained`: the share of the requests that were answered within the threshold, 0 to 1. One
      that was never answered is missed.
    - `p50_ms`, `p99_ms`: over all requests; infinite where it falls on those never answered. To
      1.6 %, linear in between.
    - `replica_hours`: of every pod from when it is asked for until it has drained.
    - `cost_ratio`: to the replica-hours of the oracle of this seed; None where there is none.
    - `changes_per_hour`: how often the number asked for became another one.
    - `longest_violation_s`: see `longest_violation`.
    - `wall_s`: how long the run took.
    """

    policy: str
    seed: int
    requests: int
    attained: float
    p50_ms: float
    p99_ms: float
    replica_hours: float
    cost_ratio: float | None
    changes_per_hour: float
    longest_violation_s: float
    wall_s: float


def row(policy: str, seed: int, outcome: Outcome, objective: float, wall_seconds: float) -> Row:
    """The row of one run, without its cost ratio; `objective` is from 0 to 1."""
    p50, p99 = _latencies(outcome, (0.5, 0.99))
    changes = sum(1 for at, _ in outcome.plan[1:] if at >= 0)
    return Row(
        policy=policy,
        seed=seed,
        requests=int(outcome.requests.sum()),
        attained=attained(outcome),
        p50_ms=1000 * p50,
        p99_ms=1000 * p99,
        replica_hours=outcome.pod_seconds / _HOUR,
        cost_ratio=None,
        changes_per_hour=changes / (outcome.duration_seconds / _HOUR),
        longest_violation_s=longest_violation(outcome, objective),
        wall_s=wall_seconds,
    )


def attained(outcome: Outcome) -> float:
    """The share of good requests; NaN where there was no request."""
    total = int(outcome.requests.sum())
    return int(outcome.good.sum()) / total if total else math.nan


def longest_violation(outcome: Outcome, objective: float) -> float:
    """The longest time for which the objective was not kept, in seconds.

    A window of the outcome (10 s, by when requests arrived) violates it where the share of its good
    requests is below the objective, and keeps it where the share is not. A violation lasts from the
    beginning of one window that violates it to the end of another, with none in between that keeps
    it. A window without requests is neither: between two that violate it is part of the violation,
    elsewhere it is not.
    """
    longest = 0.0
    began: float | None = None
    counts = zip(outcome.requests.tolist(), outcome.good.tolist(), strict=True)
    for number, (requests, good) in enumerate(counts):
        if requests and good < objective * requests:
            starts = number * outcome.window_seconds
            began = starts if began is None else began
            ends = min(starts + outcome.window_seconds, outcome.duration_seconds)
            longest = max(longest, ends - began)
        elif requests:
            began = None
    return longest


def with_cost_ratios(rows: Sequence[Row], oracle: str = "oracle") -> list[Row]:
    """Each row with its cost over that of the oracle of its seed, where that was run."""
    hindsight = {each.seed: each.replica_hours for each in rows if each.policy == oracle}
    return [
        replace(each, cost_ratio=each.replica_hours / hindsight[each.seed])
        if hindsight.get(each.seed)
        else each
        for each in rows
    ]


def document(rows: Sequence[Row]) -> list[Mapping[str, object]]:
    """Rows as JSON has them: null for what is not finite."""
    return [{name: _finite(value) for name, value in asdict(each).items()} for each in rows]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _latencies(outcome: Outcome, shares: Sequence[float]) -> list[float]:
    """Quantiles in seconds over all requests, those that were never answered being infinite."""
    answered, total = int(outcome.latencies.sum()), int(outcome.requests.sum())
    if not total:
        return [math.nan] * len(shares)
    of_answered = [share * total / max(1, answered) for share in shares]
    known = [share for share in of_answered if share <= 1]
    found = quantiles(outcome.latencies, np.array(known)).tolist() if known else []
    return found + [math.inf] * (len(shares) - len(found))
