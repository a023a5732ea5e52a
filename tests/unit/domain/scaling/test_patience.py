"""For how long fewer must have been enough."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dlagent.domain.scaling.budget import Budget, Spending
from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.model import Reason, ScalingState
from dlagent.domain.scaling.need import Able, able
from dlagent.domain.scaling.patience import patience_seconds
from dlagent.domain.scaling.signals import Signals
from dlagent.domain.scaling.turning import turning
from dlagent.domain.scaling.values import Measured
from tests.unit.domain.scaling.loads import ONE, SETTINGS, Floats, history

NOW = 1_000_000.0
HOLD = SETTINGS.window_seconds


def bursts(minutes: int, times: int) -> Floats:
    """So many bursts of a minute, with nothing between them, and a calm load after the last."""
    rates = np.full(minutes, 0.1 * ONE)
    rates[: 4 * times : 4] = ONE
    return rates


def state(
    missed: float, requests: float = 99_000.0, minutes: int = 30, ago: float = 0, times: int = 6
) -> ScalingState:
    spent = Budget((Spending(NOW - ago, requests, missed),))
    known = replace(history(bursts(minutes, times)), ends=NOW)
    return ScalingState(history=known, budget=spent)


@pytest.mark.parametrize(
    ("past", "times"),
    [
        pytest.param(ScalingState(), 1, id="of a load of which nothing is known, the hold time"),
        pytest.param(state(0), 1, id="while the promise is kept, the hold time"),
        pytest.param(state(993), 1, id="while just what is allowed is missed, the hold time"),
        pytest.param(state(2993), 3, id="three times what is allowed: three times as long"),
        pytest.param(state(20_000), 5, id="never more than five times"),
        pytest.param(state(20_000, times=1), 1, id="a load that came once has gone"),
        pytest.param(state(20_000, times=2), 2, id="one that came again may do so once more"),
        pytest.param(state(20, requests=20), 27 / 10.2, id="a few that missed say little"),
        pytest.param(state(2993, minutes=119), 3, id="until two hours of the load are known"),
        pytest.param(state(20_000, minutes=120), 1, id="then a forecast knows if it comes back"),
        pytest.param(state(20_000, ago=7200), 1, id="what was missed hours ago does not count"),
    ],
)
def test_the_patience(past: ScalingState, times: float) -> None:
    assert times * HOLD == pytest.approx(patience_seconds(past, SETTINGS, NOW), rel=2e-3)


@pytest.mark.parametrize(
    ("rates", "times"),
    [
        pytest.param([], 1, id="nothing"),
        pytest.param([12, 12, 45, 45], 1, id="a step up"),
        pytest.param([12, 45, 45, 12, 12], 1, id="a step up and down"),
        pytest.param([12, 45, 12, 30], 2, id="more than half of it came back"),
        pytest.param([12, 45, 12, 20], 1, id="less than half of it came back"),
        pytest.param([0, 0, 7, 0, 7], 2, id="out of nothing"),
        pytest.param([7, math.nan, 7], 1, id="a minute that is not known is no lull"),
    ],
)
def test_how_often_a_load_came(rates: list[float], times: int) -> None:
    spent = Budget((Spending(NOW, 99_000.0, 20_000.0),))
    past = ScalingState(history=history(np.array(rates, np.float32)), budget=spent)
    assert times * HOLD == patience_seconds(past, SETTINGS, NOW)


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        pytest.param(120, 900, id="no longer than a quarter of an hour"),
        pytest.param(400, 1200, id="but for three pod starts, where those are longer"),
    ],
)
def test_with_pods_that_start_slowly(start: float, seconds: float) -> None:
    slow = replace(SETTINGS, pod_start_seconds=start)
    assert seconds == patience_seconds(state(20_000), slow, NOW)


def test_a_load_that_is_missed_and_goes_is_waited_for() -> None:
    """Fifteen minutes, not three; and whoever asks is told so."""
    now, known, decided = NOW, state(20_000), None
    while decided is None or decided.desired == 4:
        calm = Signals(Measured(0.2 * ONE, now), replicas=4)
        known, decided = decide(known, calm, SETTINGS, now)
        one = able(calm, SETTINGS)
        assert isinstance(one, Able)
        if now == NOW + 30:
            assert Reason.HOLDING == decided.reason
            assert NOW + 5 * HOLD == turning(calm, SETTINGS, known, one, 4, now).lower_from
        now += SETTINGS.tick_seconds
    assert 5 * HOLD == now - SETTINGS.tick_seconds - NOW
    assert f"Fewer were enough for {5 * HOLD:.0f} s" in decided.message
