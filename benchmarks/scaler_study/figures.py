"""What a case comes to: ours beside the frontier of the baselines, paired by seed.

`benchmarks.scaler` makes the JSON, the table and the picture of these.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # has no types

from benchmarks.scaler_study.cases import Case, Kind
from dlagent.replay.compare import ORACLE, OURS
from dlagent.replay.frontier import Point, cost_at, frontier
from dlagent.replay.rows import Row

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A ratio, and what it lies within with 95 % confidence: 0 to infinity for a single seed."""

    ratio: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Seed:
    """One seed: costs in replica-hours; `points` are the baselines.

    `baseline_cost` is what the frontier costs where it attains as much as ours. `outside` says that
    it does so nowhere: ours attains less than the cheapest baseline, or more than the best one. The
    cost is that of this one then, so the ratio says nothing below it, and too much above it.
    """

    attained: float
    cost: float
    oracle_cost: float
    baseline_cost: float
    outside: str
    points: tuple[Point, ...]

    @property
    def ratio(self) -> float:
        """Of ours to the baselines."""
        return self.cost / self.baseline_cost


@dataclass(frozen=True)
class Result:
    """A case with its seeds."""

    case: Case
    seeds: tuple[Seed, ...]

    @property
    def attained(self) -> float:
        """The mean over the seeds."""
        return sum(each.attained for each in self.seeds) / len(self.seeds)

    @property
    def against_baselines(self) -> Interval:
        """Ours over the frontier at equal attainment."""
        return paired([each.ratio for each in self.seeds])

    @property
    def against_oracle(self) -> Interval:
        """Ours over the cheapest plan found in hindsight that attains the objective, if any."""
        return paired([each.cost / each.oracle_cost for each in self.seeds])

    @property
    def outside(self) -> str:
        """`below` or `above`, where seeds lie outside of the frontier."""
        return "/".join(sorted({each.outside for each in self.seeds} - {""}))

    @property
    def points(self) -> list[Point]:
        """The baselines' means over the seeds, the costs as shares of the oracle's."""
        columns = zip(*(each.points for each in self.seeds), strict=True)
        oracle = sum(each.oracle_cost for each in self.seeds)
        return [
            Point(
                column[0].name,
                sum(each.attained for each in column) / len(column),
                sum(each.cost for each in column) / oracle,
            )
            for column in columns
        ]


def seed_of(rows: Sequence[Row]) -> Seed:
    """From the rows of one seed: ours, the oracle and the baselines."""
    by_name = {row.policy: row for row in rows}
    ours, oracle = by_name[OURS], by_name[ORACLE]
    points = tuple(
        Point(row.policy, row.attained, row.replica_hours)
        for row in rows
        if row.policy not in (OURS, ORACLE)
    )
    hull = frontier(points)
    baseline, outside = cost_at(hull, ours.attained), ""
    if ours.attained > hull[-1].attained:
        baseline, outside = hull[-1].cost, "above"
    elif ours.attained < hull[0].attained:
        outside = "below"
    return Seed(ours.attained, ours.replica_hours, oracle.replica_hours, baseline, outside, points)


def paired(ratios: Sequence[float]) -> Interval:
    """The geometric mean of positive ratios, one of each seed, with Student's t of their logs.

    Both of a ratio have the same requests, so what a seed makes dear for both is not in it.
    """
    logs = np.log(ratios)
    mean = float(logs.mean())
    if len(logs) == 1:
        return Interval(math.exp(mean), 0.0, math.inf)
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    within = error * float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(logs) - 1))
    return Interval(math.exp(mean), math.exp(mean - within), math.exp(mean + within))


def bursty(results: Iterable[Result]) -> Interval | None:
    """The geometric mean over the bursty cases, paired by seed; None without one."""
    seeds = [each.seeds for each in results if each.case.source.kind is Kind.BURSTY]
    columns = list(zip(*seeds, strict=True))
    if not columns:
        return None
    return paired([_geometric_mean([each.ratio for each in column]) for column in columns])


def worst(results: Iterable[Result]) -> Result:
    """The case that is dearest beside the baselines."""
    return max(results, key=lambda each: each.against_baselines.ratio)


def dearest_predictable(results: Iterable[Result]) -> Result | None:
    """Of the predictable cases, the one that is dearest beside the oracle; None without one."""
    predictable = [each for each in results if each.case.source.kind is Kind.PREDICTABLE]
    return max(predictable, key=lambda each: each.against_oracle.ratio, default=None)


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))
