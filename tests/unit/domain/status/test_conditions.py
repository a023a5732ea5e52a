"""Conditions keep their times while their status is the same."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dlagent.api.conditions import ConditionType
from dlagent.domain.status.conditions import Finding, carry_over, finding_of
from dlagent.domain.status.model import parse_status, timestamp

START = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["A", "B"])), min_size=1))
def test_the_time_is_that_of_the_last_change_of_the_status(
    history: list[tuple[bool, str]],
) -> None:
    conditions = carry_over([], [], 1, START)
    changed = START
    before: bool | None = None
    for minute, (is_true, reason) in enumerate(history):
        now = START + timedelta(minutes=minute)
        changed = now if is_true is not before else changed
        before = is_true
        finding = Finding(ConditionType.READY, is_true, reason, "")
        conditions = carry_over(conditions, [finding], minute, now)
        assert [timestamp(changed)] == [item.last_transition_time for item in conditions]
        assert [finding] == [finding_of(item) for item in conditions]


def test_a_message_is_cut_to_what_a_person_reads() -> None:
    finding = Finding(ConditionType.READY, False, "R", "x" * 5000)
    (condition,) = carry_over([], [finding], 1, START)
    assert 1024 == len(condition.message)


def test_a_message_never_holds_what_looks_like_a_credential() -> None:
    said = "HTTPSConnectionPool: Max retries exceeded with url: /m.onnx?X-Amz-Signature=5ec3e7&a=b"
    (condition,) = carry_over([], [Finding(ConditionType.READY, False, "R", said)], 1, START)
    assert "5ec3e7" not in condition.message
    assert "/m.onnx" in condition.message
    (again,) = carry_over([condition], [finding_of(condition)], 1, START)
    assert condition == again


def test_a_status_that_somebody_garbled_is_taken_as_empty() -> None:
    assert [] == parse_status({"conditions": "nonsense"}).conditions
    assert [] == parse_status(None).conditions
