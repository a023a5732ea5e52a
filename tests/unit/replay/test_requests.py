"""The requests of a replay: which part of the trace, how they are drawn, what comes before."""

from dataclasses import replace

import numpy as np
import pytest

from dlagent.domain.traffic.trace import Trace, TraceError
from dlagent.replay.requests import Load, draw, initial_replicas, plan_load
from tests.unit.replay.seen import MANIFEST

MINUTES = Trace(60, np.arange(1.0, 201.0))  # minute k has k + 1 requests
SPIKE = Trace(60, np.array([9.0, 1e20, *[9.0] * 98]))


def test_the_part_its_warm_up_and_its_history_follow_each_other() -> None:
    load = plan_load(MINUTES, offset_seconds=100 * 60, duration_seconds=20 * 60)
    assert [71, *range(72, 121)] == pytest.approx((load.rates * 60).tolist())
    assert (1800, 1200) == (load.warm_up_seconds, load.duration_seconds)
    assert list(range(1, 71)) == pytest.approx((load.history * 60).tolist())


def test_a_trace_by_the_hour_warms_up_for_a_whole_one() -> None:
    load = plan_load(Trace(3600, np.full(5, 3600.0)), 7200.0, 3600.0)
    assert (3600, 3600, 60) == (load.warm_up_seconds, load.duration_seconds, len(load.history))


@pytest.mark.parametrize(
    ("offset_minutes", "warm_up_seconds", "history"),
    [
        pytest.param(0, 0, 0, id="where the trace begins there is neither"),
        pytest.param(10, 600, 0, id="a short warm-up is what there is"),
        pytest.param(31, 1800, 1, id="history begins half an hour before"),
    ],
)
def test_what_lies_before(offset_minutes: int, warm_up_seconds: float, history: int) -> None:
    load = plan_load(MINUTES, offset_minutes * 60)
    assert warm_up_seconds == load.warm_up_seconds
    assert history == len(load.history)
    assert (200 - offset_minutes) * 60 == pytest.approx(load.duration_seconds)


def test_history_is_of_three_days_at_most() -> None:
    load = plan_load(Trace(3600, np.ones(24 * 5)), offset_seconds=4 * 86_400)
    assert 3 * 1440 == len(load.history)


def test_what_is_older_than_its_history_changes_nothing() -> None:
    rates = plan_load(Trace(3600, np.array([1e20, *[60.0] * 119])), 4 * 86_400).history
    assert [1 / 60] * 3 * 1440 == pytest.approx(rates.tolist())


def test_minutes_of_history_are_made_of_any_steps() -> None:
    load = plan_load(Trace(15, np.tile([15.0, 45.0, 30.0, 30.0], 60)), offset_seconds=45 * 60)
    assert [2.0] * 15 == pytest.approx(load.history.tolist())


def test_multiply_is_for_all_of_it() -> None:
    once, thrice = (plan_load(MINUTES, 6000, 1200, multiply) for multiply in (1, 3))
    assert (3 * once.rates).tolist() == pytest.approx(thrice.rates.tolist())
    assert (3 * once.history).tolist() == pytest.approx(thrice.history.tolist())


@pytest.mark.parametrize(
    ("trace", "offset", "duration", "multiply", "says"),
    [
        pytest.param(MINUTES, 12_000, None, 1, "--offset is 12000 s: give less", id="behind it"),
        pytest.param(MINUTES, 6000, 6060, 1, "6000 s follow --offset", id="beyond its end"),
        pytest.param(MINUTES, 90, None, 1, "--offset is 90 s: give a multiple", id="half a step"),
        pytest.param(MINUTES, 0, 61, 1, "--duration is 61 s: give a multiple", id="odd length"),
        pytest.param(
            Trace(60, np.array([9.0, 0, 0])), 60, None, 1, "no requests: choose", id="silent part"
        ),
        pytest.param(MINUTES, 0, None, 1e5, "more than a replay has memory", id="too many"),
        pytest.param(
            MINUTES, 6000, 60, 8e4, "08 requests, with the warm-up", id="too many to warm up"
        ),
        pytest.param(SPIKE, 0, None, 1, "1e.20 requests come in its step at 60 s", id="a spike"),
        pytest.param(SPIKE, 600, None, 1, "step at 60 s: .*correct", id="a spike of the warm-up"),
        pytest.param(SPIKE, 2700, None, 1, "step at 60 s: .*correct", id="a spike of the past"),
        pytest.param(
            MINUTES, 6000, 60, 1e7, "at 1200 s: .* smaller --multiply", id="a past made too busy"
        ),
    ],
)
def test_parts_that_cannot_be_replayed(
    trace: Trace, offset: float, duration: float | None, multiply: float, says: str
) -> None:
    with pytest.raises(TraceError, match=says):
        plan_load(trace, offset, duration, multiply)


def test_requests_are_poisson_in_their_minutes() -> None:
    requests, _ = draw(Load(np.tile([5.0, 20.0], 200), 60, 60 * 30, np.zeros(0)), seed=1)
    assert (np.diff(requests.times) >= 0).all()
    assert -1800 <= requests.times[0] < requests.times[-1] < requests.duration_seconds == 22_200
    counts = np.histogram(requests.times, bins=np.arange(-1800, 22_201, 60))[0]
    assert pytest.approx([300, 1200], rel=0.02) == [counts[::2].mean(), counts[1::2].mean()]
    assert pytest.approx([300, 1200], rel=0.35) == [counts[::2].var(), counts[1::2].var()]


def test_the_seed_draws_requests_and_history_apart() -> None:
    load = plan_load(MINUTES, 6000)
    (first, history), (again, same), (other, another) = (draw(load, seed) for seed in (1, 1, 2))
    assert first.times.tolist() == again.times.tolist()
    assert first.chances.tolist() == again.chances.tolist()
    assert history.tolist() == same.tolist()
    assert first.times.tolist() != other.times.tolist()
    assert history.tolist() != another.tolist()
    assert pytest.approx(history.sum(), rel=0.2) == load.history.sum()


def test_history_ends_where_the_first_request_comes() -> None:
    silent_first = Trace(60, np.array([6.0] * 10 + [0.0] * 20 + [600.0] * 20))
    requests, history = draw(plan_load(silent_first, 40 * 60), seed=1)
    assert -600 <= requests.begins <= -590
    assert 10 + 20 == len(history)
    assert not history[10:].any()


def test_a_seed_without_requests_says_so() -> None:
    load = plan_load(Trace(60, np.array([9.0] * 40 + [1e-9])), 40 * 60)
    with pytest.raises(TraceError, match="seed 1 draws no request"):
        draw(load, 1)


@pytest.mark.parametrize(
    ("rate", "bounds", "expected"),
    [
        pytest.param(100, (1, 200), 4, id="rounded up: one does 32.4"),
        pytest.param(100, (1, 3), 3, id="at most the most"),
        pytest.param(0, (2, 9), 2, id="at least the least"),
    ],
)
def test_initial_replicas(rate: float, bounds: tuple[int, int], expected: int) -> None:
    manifest = replace(MANIFEST, min_replicas=bounds[0], max_replicas=bounds[1])
    load = Load(np.array([rate] * 60 + [1e6] * 60, np.float64), 1, 0, np.zeros(0))
    assert expected == initial_replicas(load, manifest)
