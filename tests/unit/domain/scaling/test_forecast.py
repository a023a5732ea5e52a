"""What may come: learned from a history, with how wrong it was."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.forecast import Forecast, as_the_day_before, fit, predicted
from dlagent.domain.scaling.history import DAY_STEPS, History
from tests.unit.domain.scaling.loads import Floats, counted, daily, history

STEPS = 5
MINUTE = 60.0


def mean_ahead(forecast: Forecast, known: History, rate: float) -> float:
    return math.exp(predicted(forecast, known, rate)) - forecast.floor


def test_without_data_the_load_goes_on_as_it_is() -> None:
    forecast, _ = fit(History(), STEPS)
    assert 7.0 == pytest.approx(mean_ahead(forecast, History(), 7.0))


def test_without_data_errors_are_a_random_walk_from_the_present() -> None:
    _, residuals = fit(History(), STEPS)
    spread = residuals[0].std(axis=0)
    assert (1, STEPS) == (len(residuals), residuals.shape[2])
    assert 0 == pytest.approx(residuals.mean())
    assert spread[0] * np.sqrt(np.arange(1, STEPS + 1)) == pytest.approx(spread)


def test_the_rise_of_each_day_is_foreseen_better_than_by_persistence() -> None:
    steps, true = 30, daily(4 * DAY_STEPS)
    rates = counted(true)
    forecast, _ = fit(history(rates[: 3 * DAY_STEPS]), steps)
    ours, persistence = [], []
    for now in range(3 * DAY_STEPS, 3 * DAY_STEPS + DAY_STEPS // 6, 7):
        comes = true[now + 1 : now + 1 + steps].mean()
        ours.append(mean_ahead(forecast, history(rates[:now]), rates[now]) - comes)
        persistence.append(rates[now] - comes)
    assert np.square(ours).mean() < 0.5 * np.square(persistence).mean()
    assert abs(np.mean(ours)) < 0.5 * abs(np.mean(persistence))


def test_noise_is_averaged_out() -> None:
    rates = counted(np.full(3 * DAY_STEPS, 2.0))
    forecast, _ = fit(history(rates), STEPS)
    errors = [
        mean_ahead(forecast, history(rates[:now]), rates[now]) - 2.0
        for now in range(2 * DAY_STEPS, 3 * DAY_STEPS, 11)
    ]
    assert np.std(errors) < 0.5 * rates.std()


@pytest.mark.parametrize(
    ("steps", "gaps"),
    [
        pytest.param(1, 0.1, id="a minute ahead, with gaps"),
        pytest.param(5, 0.1, id="five minutes ahead, with gaps"),
        pytest.param(40, 0.0, id="forty minutes ahead"),
    ],
)
def test_one_forecast_is_as_those_that_the_errors_are_of(steps: int, gaps: float) -> None:
    rates = counted(daily(DAY_STEPS + 200))
    rates[np.random.default_rng(1).random(len(rates)) < gaps] = math.nan
    known = history(rates).rates.astype(np.float64)
    forecast, residuals = fit(history(rates), steps)
    logs = np.log(known + forecast.floor)
    errors = [
        logs[now + 1] - predicted(forecast, history(rates[:now]), known[now])
        for now in range(len(rates) - steps)
        if math.isfinite(known[now]) and math.isfinite(logs[now + 1])
    ]
    first = residuals[:, :, 0].ravel()
    nearest = np.abs(first[:, None] - np.array(errors)).min(axis=1)
    assert nearest.max() < 1e-9


def test_minutes_beside_a_gap_are_not_learned_from() -> None:
    rates = counted(np.full(60, 5.0))
    rates[30] = 100.0
    assert fit(history(rates), STEPS)[1].max() > math.log(10)
    rates[[30 - STEPS + 1, 31]] = math.nan  # no path is whole that has the burst
    assert fit(history(rates), STEPS)[1].max() < math.log(3)


def test_more_history_leaves_less_of_the_prior() -> None:
    spreads = [fit(history(np.full(n, 5.0)), STEPS)[1].std() for n in (0, 20, 60, 110, 200)]
    assert sorted(spreads, reverse=True) == spreads
    assert 0 == pytest.approx(spreads[-1], abs=1e-3)


def test_groups_are_of_rising_levels_and_a_level_finds_its_own() -> None:
    forecast, residuals = fit(history(counted(daily(3 * DAY_STEPS))), STEPS)
    assert -math.inf == forecast.levels[0]
    assert (np.diff(forecast.levels) >= 0).all()
    assert len(forecast.levels) == len(residuals) > 1
    found = [forecast.group(level) for level in (-1e9, *forecast.levels[1:], 1e9)]
    assert [*range(len(residuals)), len(residuals) - 1] == found


def test_small_loads_have_larger_errors_than_great_ones() -> None:
    _, residuals = fit(history(counted(daily(3 * DAY_STEPS, mean=1.0, swing=0.95))), STEPS)
    assert residuals[0].std() > 2 * residuals[-1].std()


def test_a_burst_an_hour_stays_among_the_errors_as_high_as_it_is() -> None:
    rates = counted(np.full(2 * DAY_STEPS, 5.0))
    at = np.arange(30, len(rates), 61)
    rates[at] *= 6
    _, residuals = fit(history(rates), STEPS)
    highest = residuals.max(axis=2)
    burst = highest > math.log(3)
    assert 0.3 * STEPS / 61 < burst.mean() < 2 * STEPS / 61


DEGENERATE = {
    "no minutes": np.zeros(0),
    "one minute": np.array([5.0]),
    "as many minutes as are looked ahead": np.full(STEPS, 5.0),
    "no load for three days": np.zeros(3 * DAY_STEPS),
    "always the same": np.full(3 * DAY_STEPS, 5.0),
    "never measured": np.full(3 * DAY_STEPS, math.nan),
    "measured once": np.concatenate([np.full(2000, math.nan), [5.0], np.full(2000, math.nan)]),
    "every second minute is missing": np.where(np.arange(3000) % 2, 5.0, math.nan),
    "a thousand million requests a second": np.full(3000, 1e9),
    "one request in thirty years": np.full(3000, 1e-9),
    "none, then a thousand million": np.where(np.arange(3000) < 2000, 0.0, 1e9),
}


@pytest.mark.parametrize("rates", DEGENERATE.values(), ids=DEGENERATE.keys())
@pytest.mark.parametrize("rate", [0.0, 1e-9, 5.0, 1e9])
def test_whatever_was_seen_all_that_is_told_is_finite(rates: Floats, rate: float) -> None:
    forecast, residuals = fit(history(rates), STEPS)
    assert np.isfinite(residuals).all()
    assert residuals.size
    assert math.isfinite(predicted(forecast, history(rates), rate))


@given(
    st.lists(st.one_of(st.floats(0, 1e9), st.just(math.nan)), max_size=300),
    st.integers(1, 250),
    st.floats(0, 1e9),
)
def test_any_history_gives_finite_figures(rates: list[float], steps: int, rate: float) -> None:
    known = history(np.array(rates))
    forecast, residuals = fit(known, steps)
    assert np.isfinite(residuals).all()
    assert math.isfinite(predicted(forecast, known, rate))


def lost_since(rates: Floats, minutes: int) -> tuple[History, float]:
    """Nothing is known of so many minutes."""
    known = history(rates)
    return known, known.ends + minutes * MINUTE


def test_lost_metrics_go_on_as_the_day_before() -> None:
    rates = daily(2 * DAY_STEPS)
    known, now = lost_since(rates, 20)
    due = as_the_day_before(known, now, 5 * MINUTE)
    assert daily(2 * DAY_STEPS + 25)[-1] == pytest.approx(due, rel=0.05)
    assert due is not None
    assert due > 1.05 * rates[-1]


@pytest.mark.parametrize(
    ("rates", "minutes"),
    [
        pytest.param(np.zeros(0), 5, id="nothing was ever known"),
        pytest.param(np.full(DAY_STEPS - 100, 5.0), 5, id="less than a day is known"),
        pytest.param(np.full(2 * DAY_STEPS, 5.0), 31, id="lost for more than half an hour"),
        pytest.param(
            np.where(np.arange(2 * DAY_STEPS) > DAY_STEPS + 50, 5.0, math.nan),
            5,
            id="the day before was not measured",
        ),
    ],
)
def test_without_a_day_before_nothing_is_due(rates: Floats, minutes: int) -> None:
    known, now = lost_since(rates, minutes)
    assert as_the_day_before(known, now, MINUTE) is None


def test_a_day_before_without_load_asks_for_no_wonder() -> None:
    rates = np.full(2 * DAY_STEPS, 10.0)
    rates[DAY_STEPS - 60 : DAY_STEPS + 20] = 0.0  # it was off; then it came back
    known, now = lost_since(rates, 15)
    due = as_the_day_before(known, now, 30 * MINUTE)
    assert due is not None
    assert due < 600  # of a floor of a fiftieth of the mean, not of nothing


def test_no_load_is_due_after_no_load() -> None:
    known, now = lost_since(np.zeros(2 * DAY_STEPS), 5)
    assert 0.0 == as_the_day_before(known, now, MINUTE)
