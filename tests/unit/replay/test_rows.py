"""What a run comes to: shares, quantiles with what was never answered, the longest violation."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from dlagent.replay.engine import Outcome
from dlagent.replay.kernel import CLASSES_PER_E, FINE_CLASSES, FINE_IN_CLASS, FIRST_EDGE_SECONDS
from dlagent.replay.rows import Row, document, longest_violation, row, with_cost_ratios


def outcome(
    requests: Sequence[int],
    good: Sequence[int],
    latencies_seconds: Sequence[float] = (),
    plan: tuple[tuple[float, int], ...] = ((0, 1),),
    duration: float | None = None,
) -> Outcome:
    classes = np.zeros(FINE_CLASSES, np.int64)
    for latency in latencies_seconds:
        classes[
            math.ceil(CLASSES_PER_E * FINE_IN_CLASS * math.log(latency / FIRST_EDGE_SECONDS))
        ] += 1
    seconds = 10.0 * len(requests) if duration is None else duration
    return Outcome(np.array(requests), np.array(good), classes, 7200, plan, seconds, 10)


def test_a_row() -> None:
    plan = ((-600.0, 1), (-60.0, 3), (0.0, 2), (12.0, 1))
    found = row("ours", 3, outcome([3, 1], [3, 0], [0.1] * 3 + [2.0], plan), 0.99, 1.5)
    assert ("ours", 3, 4, 0.75) == (found.policy, found.seed, found.requests, found.attained)
    assert (2.0, None, 1.5) == (found.replica_hours, found.cost_ratio, found.wall_s)
    assert 360 == found.changes_per_hour, "two in 20 s; what the warm-up did is not counted"
    assert 10 == found.longest_violation_s
    assert pytest.approx(100, rel=0.017) == found.p50_ms
    assert pytest.approx(2000, rel=0.017) == found.p99_ms


def test_what_is_never_answered_is_infinitely_late() -> None:
    found = row("ours", 1, outcome([10], [5], [0.1] * 6), 0.99, 0)
    assert pytest.approx(100, rel=0.017) == found.p50_ms
    assert math.inf == found.p99_ms
    assert 0.5 == found.attained
    written = json.loads(json.dumps(document([found]), allow_nan=False))
    assert written[0]["p99_ms"] is None
    assert list(Row.__dataclass_fields__) == list(written[0])


def test_nothing_answered_at_all() -> None:
    found = row("ours", 1, outcome([10], [0]), 0.99, 0)
    assert (math.inf, math.inf, 0) == (found.p50_ms, found.p99_ms, found.attained)


@pytest.mark.parametrize(
    ("requests", "good", "expected"),
    [
        pytest.param([5, 5], [5, 5], 0, id="none"),
        pytest.param([100, 100], [99, 98], 10, id="at the objective it is kept, below it is not"),
        pytest.param([5, 5, 5, 5], [0, 0, 5, 0], 20, id="the longest of two"),
        pytest.param([5, 0, 0, 5], [0, 0, 0, 0], 40, id="silence between two belongs to it"),
        pytest.param([0, 5, 0, 0], [0, 0, 0, 0], 10, id="silence before and after does not"),
        pytest.param([5, 0, 5, 5], [0, 0, 5, 0], 10, id="a window that keeps it ends it"),
    ],
)
def test_longest_violation(requests: list[int], good: list[int], expected: float) -> None:
    assert expected == longest_violation(outcome(requests, good), 0.99)


def test_a_violation_ends_with_the_replay() -> None:
    assert 14 == longest_violation(outcome([5, 5], [0, 0], duration=14), 0.99)


def test_costs_are_related_to_the_oracle_of_the_same_seed() -> None:
    def of(policy: str, seed: int, hours: float) -> Row:
        return Row(policy, seed, 1, 1.0, 1, 1, hours, None, 0, 0, 0)

    rows = [of("ours", 1, 3), of("oracle", 1, 2), of("ours", 2, 3), of("oracle", 2, 4)]
    assert [1.5, 1, 0.75, 1] == [each.cost_ratio for each in with_cost_ratios(rows)]
    assert [None] == [each.cost_ratio for each in with_cost_ratios(rows[:1])]
