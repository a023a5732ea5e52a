"""The generated traffic of the benchmark `scaler`."""

import numpy as np
import pytest

from benchmarks.scaler_study.traffic import KINDS, rates

DAY = 1440


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("minutes", [1, 17, 3 * DAY])
def test_the_mean_is_what_was_asked_for_and_no_minute_is_below_zero(
    kind: str, minutes: int
) -> None:
    found = rates(kind, 64.8, minutes, seed=1)
    assert len(found) == minutes
    assert found.mean() == pytest.approx(64.8)
    assert found.min() >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_again(kind: str) -> None:
    np.testing.assert_array_equal(rates(kind, 1.0, DAY, seed=3), rates(kind, 1.0, DAY, seed=3))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"steady"}))
def test_another_seed_gives_something_else(kind: str) -> None:
    assert (rates(kind, 1.0, DAY, seed=3) != rates(kind, 1.0, DAY, seed=4)).any()


def test_a_day_is_high_in_the_afternoon_and_low_at_night() -> None:
    day = rates("diurnal", 1.0, DAY, seed=1)
    assert 13 * 60 < day.argmax() < 15 * 60
    assert day[14 * 60] > 2 * day[2 * 60]


def test_bursts_and_on_off_jump_from_one_minute_to_the_next_and_ramps_do_not() -> None:
    def largest_jump(kind: str) -> float:
        return float(np.abs(np.diff(rates(kind, 1.0, 8 * DAY, seed=1))).max())

    assert largest_jump("bursts") > 2
    assert largest_jump("on-off") > 1
    assert largest_jump("ramps") < 0.1


def test_the_number_of_sessions_is_alike_hours_later() -> None:
    """With exponential sessions of the same mean nothing would be left after two hours."""
    found = np.log(rates("sessions", 1.0, 30 * DAY, seed=1))
    correlation = np.corrcoef(found[:-120], found[120:])[0, 1]
    assert correlation > 0.1
