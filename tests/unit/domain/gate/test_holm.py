"""Holm's correction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.gate.holm import Held, holm


@pytest.mark.parametrize(
    ("p_values", "held"),
    [
        pytest.param([], [], id="nothing to judge"),
        pytest.param([0.05], [Held(0.05, True)], id="one is held against the whole level"),
        pytest.param(
            [0.04, 0.02],
            [Held(0.05, True), Held(0.025, True)],
            id="the smallest of two against half, then the other against all",
        ),
        pytest.param(
            [0.03, 0.04],
            [Held(0.025, False), Held(0.025, False)],
            id="none passes after the first that does not, though 0.04 is below 0.05",
        ),
        pytest.param(
            [0.01, 0.04, 0.03, 0.005],  # Holm 1979: four hypotheses at 5 %
            [Held(0.05 / 3, True), Held(0.025, False), Held(0.025, False), Held(0.0125, True)],
            id="two of four",
        ),
    ],
)
def test_holm(p_values: list[float], held: list[Held]) -> None:
    assert held == holm(p_values, 0.05)


def test_who_is_judged_at_another_time_counts_as_if_it_did_not_pass() -> None:
    p_values = [0.01, 0.04, 0.02]
    assert holm([*p_values, 1.0, 1.0], 0.05)[:3] == holm(p_values, 0.05, others=2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_what_passes_is_within_its_level_and_what_does_not_is_above(p_values: list[float]) -> None:
    for p_value, held in zip(p_values, holm(p_values, 0.05), strict=True):
        assert held.passed == (p_value <= held.level)
        assert 0.05 / len(p_values) <= held.level <= 0.05
