"""Whether the promise is kept, as the status of an agent under load tells it."""

from datetime import timedelta

import pytest

from dlagent.domain.scaling.slo import SloWindow, Verdict
from tests.unit.reconcile.fake import NAMESPACE
from tests.unit.reconcile.lives import message, status, told
from tests.unit.reconcile.world import DOWN, World, measured


async def test_after_a_restart_nothing_is_shown_that_is_not_known(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_990, 7200)
    await measured(world)
    shown = []
    world.restart()
    scaler = world.operator.scaler
    scaler._wake = lambda key: shown.append(scaler.view(key))  # the reconciler may come at once
    await scaler.tick()
    assert {Verdict.MET} == {view.slo.verdict for view in shown if view is not None}


async def test_the_slo_is_judged_from_what_prometheus_recorded(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_990, 7200)
    await measured(world)
    assert ("True", "Met") == told(world.cluster, "SLOMet")
    slo = status(world.cluster).slo
    assert slo is not None
    assert (90, 2, "Met") == (slo.error_budget_left_percent, slo.observed_hours, slo.verdict)
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_000, 7200)
    await world.ticks(5)
    assert ("False", "BudgetSpent") == told(world.cluster, "SLOMet")
    assert world.events("BudgetSpent")


async def test_a_record_that_is_missing_is_no_verdict(world: World) -> None:
    await measured(world)
    assert ("Unknown", "NoData") == told(world.cluster, "SLOMet")


async def test_answers_whose_latency_nobody_tells_are_not_taken_for_no_traffic(
    world: World,
) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(0, 0, 7200)
    world.metrics.quantiles = ()
    await measured(world)
    await world.ticks(5)
    assert ("Unknown", "NoData") == told(world.cluster, "SLOMet")
    assert "no pod tells how long" in message(world.cluster, "SLOMet")


async def test_a_verdict_outlives_a_short_outage(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_000, 7200)
    await measured(world)
    told_of = world.events("BudgetSpent")
    for _ in range(3):
        world.metrics.fault = DOWN
        await world.ticks(5)
        assert ("False", "BudgetSpent") == told(world.cluster, "SLOMet")
        world.metrics.fault = None
        await world.ticks(5)
    assert told_of == world.events("BudgetSpent")
    world.metrics.fault = DOWN
    await world.ticks(50)
    assert ("Unknown", "NoData") == told(world.cluster, "SLOMet")


async def test_a_record_of_a_window_that_nobody_asked_for_since_is_not_shown(world: World) -> None:
    promise = {"latency": {"thresholdMilliseconds": 50}}
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_990, 7200)
    await measured(world)
    world.cluster.edit(slo=promise | {"windowDays": 14})
    await world.ticks(2)
    world.metrics.windows = {(NAMESPACE, "shoes"): SloWindow(10_000, 9_000, 7200)}
    world.cluster.time += timedelta(days=1)
    await world.ticks(5)
    world.cluster.edit(slo=promise)
    shown = []
    scaler = world.operator.scaler
    scaler._wake = lambda key: shown.append(scaler.view(key))
    await scaler.tick()
    assert {Verdict.BUDGET_SPENT} == {view.slo.verdict for view in shown if view is not None}


async def test_what_was_answered_is_counted_for_the_record(world: World) -> None:
    await measured(world)
    world.load(1.0)
    await world.ticks(4)
    (figures,) = world.operator.scaler.figures()
    assert figures.requests > 0
    assert 0.97 < figures.good / figures.requests <= 1
    assert figures.arrivals is not None
    assert {0.5, 0.99} == figures.latency_seconds.keys()


async def test_an_estimate_is_called_one(world: World) -> None:
    await measured(world)
    assert "Summary" == _signal(world)


async def test_a_count_of_the_histogram_goes_before_the_estimate(world: World) -> None:
    world.metrics.in_time = 0.9
    await measured(world)
    world.load(1.0)
    await world.ticks(4)
    assert "Histogram" == _signal(world)
    (figures,) = world.operator.scaler.figures()
    assert figures.good / figures.requests == pytest.approx(0.9)


async def test_a_histogram_tells_where_there_are_no_quantiles(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(0, 0, 7200)
    world.metrics.quantiles = ()
    world.metrics.in_time = 0.9
    await measured(world)
    await world.ticks(5)
    assert ("Unknown", "NoTraffic") == told(world.cluster, "SLOMet")


def _signal(world: World) -> str | None:
    slo = status(world.cluster).slo
    assert slo is not None
    return slo.latency_signal
