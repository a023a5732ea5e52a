"""The statistics of the benchmark `scaler`: paired intervals, and the frontier beside ours."""

import math

import pytest

from benchmarks.scaler_study.cases import SOURCES, Case
from benchmarks.scaler_study.figures import (
    Result,
    Seed,
    bursty,
    dearest_predictable,
    paired,
    seed_of,
    worst,
)
from benchmarks.scaler_study.markdown import table
from dlagent.replay.rows import Row


def row(policy: str, attained: float, replica_hours: float) -> Row:
    return Row(policy, 1, 1000, attained, 1.0, 2.0, replica_hours, None, 0.0, 0.0, 0.0)


BASELINES = [row("a", 0.98, 4.0), row("b", 1.0, 8.0)]


def seed(cost: float, baseline: float, oracle: float = 1.0) -> Seed:
    return Seed(0.995, cost, oracle, baseline, "", ())


def result(name: str, *seeds: Seed) -> Result:
    source = next(each for each in SOURCES if each.name == name)
    return Result(Case(source, "hpa-rps"), seeds)


def test_equal_ratios_leave_no_doubt() -> None:
    found = paired([0.8, 0.8, 0.8])
    assert (found.ratio, found.lower, found.upper) == pytest.approx((0.8, 0.8, 0.8))


def test_the_interval_is_students_of_the_logarithms() -> None:
    """With two values the error of their mean is half their distance, and t(1, 0.975) is 12.706."""
    found = paired([1.0, math.exp(0.1)])
    assert math.log(found.ratio) == pytest.approx(0.05)
    assert math.log(found.upper) == pytest.approx(0.05 + 12.7062 * 0.05, rel=1e-4)
    assert math.log(found.lower) == pytest.approx(0.05 - 12.7062 * 0.05, rel=1e-4)


def test_one_seed_says_nothing_of_how_sure_it_is() -> None:
    found = paired([0.9])
    assert found.ratio == pytest.approx(0.9)
    assert (found.lower, found.upper) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("attained", "baseline_cost", "outside"),
    [
        pytest.param(0.98, 4.0, "", id="as much as the cheapest"),
        pytest.param(0.99, 6.0, "", id="halfway between two"),
        pytest.param(1.0, 8.0, "", id="as much as the best"),
        pytest.param(0.5, 4.0, "below", id="less than any: the cheapest, marked"),
    ],
)
def test_baselines_are_taken_where_they_attain_as_much(
    attained: float, baseline_cost: float, outside: str
) -> None:
    found = seed_of([row("ours", attained, 3.0), *BASELINES, row("oracle", 0.99, 2.0)])
    assert found.baseline_cost == pytest.approx(baseline_cost)
    assert found.outside == outside
    assert found.ratio == pytest.approx(3.0 / baseline_cost)
    assert [point.name for point in found.points] == ["a", "b"]


def test_more_than_any_baseline_is_compared_with_the_best() -> None:
    rows = [row("ours", 0.99, 3.0), row("a", 0.98, 4.0), row("oracle", 0.99, 2.0)]
    found = seed_of(rows)
    assert (found.baseline_cost, found.outside) == (4.0, "above")


def test_bursty_cases_are_taken_together_seed_by_seed() -> None:
    """One dear with the first seed, the other with the second: together there is no difference."""
    results = [
        result("bursts", seed(1.0, 1.0), seed(0.25, 1.0)),
        result("on-off", seed(0.25, 1.0), seed(1.0, 1.0)),
        result("steady", seed(9.0, 1.0), seed(9.0, 1.0)),
    ]
    found = bursty(results)
    assert found is not None
    assert (found.ratio, found.lower, found.upper) == pytest.approx((0.5, 0.5, 0.5))


def test_without_such_traffic_there_is_no_such_figure() -> None:
    assert bursty([result("steady", seed(1.0, 1.0))]) is None
    assert dearest_predictable([result("bursts", seed(1.0, 1.0))]) is None


def test_the_worst_are_found() -> None:
    results = [
        result("steady", seed(1.2, 1.0, oracle=1.0)),
        result("diurnal", seed(1.1, 1.0, oracle=0.5)),
        result("bursts", seed(1.5, 1.0, oracle=0.1)),
    ]
    assert worst(results).case.name == "bursts"
    dearest = dearest_predictable(results)
    assert dearest is not None
    assert dearest.case.name == "diurnal"


def test_the_table_has_a_row_for_each_case() -> None:
    one = seed_of([row("ours", 0.99, 3.0), *BASELINES, row("oracle", 0.99, 2.0)])
    text = table([result("steady", one, one), result("bursts", one, one)])
    assert "| steady | 4 | 99.000% | 3.00 | 6.00 | 0.500 | 0.500 to 0.500 | 1.500 |" in text
    assert "| bursts |" in text
