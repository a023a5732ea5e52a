"""The verdict over the window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.slo import SloWindow, Verdict, coarse_hours, judge
from dlagent.domain.scaling.values import NoData


@pytest.mark.parametrize(
    ("window", "verdict", "budget"),
    [
        pytest.param(NoData("down"), Verdict.NO_DATA, None, id="without data nobody knows"),
        pytest.param(SloWindow(0, 0, 3600), Verdict.NO_TRAFFIC, None, id="nothing was asked"),
        pytest.param(
            SloWindow(9, 9, 3600), Verdict.NO_TRAFFIC, None, id="nothing but the golden checks"
        ),
        pytest.param(
            SloWindow(999, 0, 3600),
            Verdict.INSUFFICIENT_HISTORY,
            None,
            id="fewer requests than ten allowed misses need say nothing, not even if all missed",
        ),
        pytest.param(SloWindow(1000, 1000, 60), Verdict.MET, 100, id="all in time"),
        pytest.param(SloWindow(10_000, 9_950, 60), Verdict.MET, 50, id="half of the budget"),
        pytest.param(SloWindow(10_000, 9_941, 60), Verdict.MET, 40, id="rounded down to tens"),
        pytest.param(SloWindow(10_000, 9_900, 60), Verdict.MET, 0, id="just at the objective"),
        pytest.param(SloWindow(10_000, 9_899, 60), Verdict.BUDGET_SPENT, 0, id="one too many"),
        pytest.param(SloWindow(10_000, 10_001, 60), Verdict.MET, 100, id="more good than all"),
    ],
)
def test_verdict(window: SloWindow | NoData, verdict: Verdict, budget: int | None) -> None:
    found = judge(window, 0.99)
    assert (verdict, budget) == (found.verdict, found.budget_left_percent)


def test_why_nothing_is_known_is_said() -> None:
    assert "down" == judge(NoData("down"), 0.99).why


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_any_window_gives_a_share_between_none_and_all(
    requests: float, good: float, objective: float
) -> None:
    found = judge(SloWindow(requests, good, 60), objective)
    assert found.attained is None or 0 <= found.attained <= 1
    assert found.budget_left_percent is None or 0 <= found.budget_left_percent <= 100


@pytest.mark.parametrize(
    ("seconds", "hours"),
    [(0, 0), (3599, 0), (3600, 1), (6 * 3600, 6), (11 * 3600, 6), (47 * 3600, 42), (71 * 3600, 48)],
)
def test_hours_are_coarser_the_more_there_are(seconds: float, hours: int) -> None:
    assert hours == coarse_hours(seconds)


def test_answers_whose_latency_nobody_tells_are_no_data_where_few_are_recorded() -> None:
    assert Verdict.NO_DATA is judge(SloWindow(0, 0, 60), 0.99, latency_missing=True).verdict
    assert Verdict.MET is judge(SloWindow(1000, 1000, 60), 0.99, latency_missing=True).verdict
