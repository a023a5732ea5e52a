"""What a restarted operator goes on from: what was recorded, and what it has seen itself since."""

import numpy as np

from dlagent.domain.scaling.budget import BIN_SECONDS, Budget, Spending
from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.model import ScalingState
from dlagent.domain.scaling.past import Past, remembered

NOW = 1_700_000_100.0 // BIN_SECONDS * BIN_SECONDS + 100
QUARTER = NOW - 100
SEEN = ScalingState(
    history=History(np.ones(1, np.float32), NOW),
    budget=Budget((Spending(QUARTER - BIN_SECONDS, 10, 5), Spending(QUARTER, 20, 7))),
)


def test_the_record_is_in_place_of_what_was_seen_and_the_present_quarter_goes_on() -> None:
    whole = Spending(QUARTER - BIN_SECONDS, 900, 9)
    found = remembered(SEEN, Past(History(np.ones(99, np.float32), NOW), Budget((whole,))), NOW)
    assert 99 == len(found.history.rates)
    assert (whole, SEEN.budget.bins[1]) == found.budget.bins


def test_where_nothing_was_recorded_what_was_seen_stays() -> None:
    found = remembered(SEEN, Past(), NOW)
    assert (SEEN.history, SEEN.budget) == (found.history, found.budget)
