"""The cases of the benchmark `scaler`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.scaler_study.cases import (
    EVERY_SWEEP,
    LONG_SWEEP,
    SHORT_SWEEP,
    SOURCES,
    Case,
    Source,
    all_cases,
    default_cases,
    service_of,
)
from dlagent.domain.scaling.history import KEPT_STEPS
from dlagent.replay.baselines import replica
from dlagent.replay.policies import parse_policies

GENERATED = tuple(source for source in SOURCES if not source.file)
NOWHERE = Path("no-folder")


@pytest.mark.parametrize("source", GENERATED, ids=lambda source: source.name)
def test_the_load_needs_so_many_replicas_and_has_days_before_it(source: Source) -> None:
    case = Case(source, "hpa-rps", mean_replicas=10.0)
    load = case.load(NOWHERE, seed=2)
    counted = load.rates[round(load.warm_up_seconds / load.step_seconds) :]
    capacity = replica.requests_per_second(case.manifest)
    assert counted.mean() == pytest.approx(10 * capacity)
    assert load.duration_seconds == 60 * case.minutes
    assert len(load.history) == KEPT_STEPS


def test_a_part_of_a_case_has_the_rates_of_the_whole() -> None:
    case = Case(GENERATED[-1], "hpa-rps")
    whole, part = case.load(NOWHERE, 1), case.load(NOWHERE, 1, first_minute=60, minutes=30)
    assert part.duration_seconds == 1800
    assert part.rates.tolist() == pytest.approx(whole.rates[60 : 60 + 30 + 30].tolist())


@pytest.mark.parametrize("ratio", [0.25, 2.0, 20.0])
def test_each_ratio_saturates_at_the_same_rate(ratio: float) -> None:
    service = service_of(ratio)
    assert service.base_seconds / service.per_item_seconds == pytest.approx(ratio)
    assert service.saturation == pytest.approx(40.0)


@pytest.mark.parametrize("cases", [default_cases, all_cases])
def test_cases_are_told_apart_by_their_names(
    cases: Callable[[tuple[Source, ...]], list[Case]],
) -> None:
    names = [case.name for case in cases(SOURCES)]
    assert len(names) == len(set(names))
    assert {source.name for source in SOURCES} <= set(names)


@pytest.mark.parametrize(
    ("sweep", "count"),
    [
        pytest.param(SHORT_SWEEP, 24 + 3, id="HPA, and what is cheaper"),
        pytest.param(LONG_SWEEP, 24 + 3 + 8, id="a part of KEDA's too"),
        pytest.param(EVERY_SWEEP, 2 * 24 + 3 + 4 * 21 + 16, id="all there are"),
    ],
)
def test_sweeps_have_so_many_settings(sweep: str, count: int) -> None:
    assert len(parse_policies(sweep, Case(SOURCES[0], sweep).manifest)) == count


def test_a_case_with_many_replicas_is_shorter() -> None:
    minutes = [Case(SOURCES[0], "fixed", mean_replicas=mean).minutes for mean in (2, 10, 50)]
    assert minutes == [1440, 360, 72]
