"""The rules of the queue: one key once, no event lost, back-off within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.runtime.schedule import Backoff, Schedule


def popped(schedule: Schedule[str], now: float) -> str | None:
    found = schedule.pop(now)
    return found[0] if found else None


def test_many_events_of_a_waiting_key_are_one_run() -> None:
    schedule: Schedule[str] = Schedule()
    for _ in range(100):
        schedule.add("a", 0.0)
    assert popped(schedule, 0.0) == "a"
    assert popped(schedule, 0.0) is None


def test_events_while_active_are_one_more_run_after_it() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 0.0)
    schedule.pop(0.0)
    schedule.add("a", 1.0)
    schedule.add("a", 1.0)
    assert popped(schedule, 1.0) is None
    schedule.succeeded("a", 2.0, None)
    assert popped(schedule, 2.0) == "a"
    schedule.succeeded("a", 3.0, None)
    assert popped(schedule, 3.0) is None


def test_keys_are_served_in_the_order_of_their_first_event() -> None:
    schedule: Schedule[str] = Schedule()
    for key in ("a", "b", "a", "c"):
        schedule.add(key, 0.0)
    assert [popped(schedule, 0.0) for _ in range(4)] == ["a", "b", "c", None]


def test_the_wait_is_counted_from_the_first_event() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 1.0)
    schedule.add("a", 3.0)
    assert schedule.oldest(4.0) == 3.0
    assert schedule.pop(4.0) == ("a", 3.0)


def test_a_requeued_key_comes_at_its_time_and_not_before() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 0.0)
    schedule.pop(0.0)
    schedule.succeeded("a", 0.0, 10.0)
    assert popped(schedule, 9.9) is None
    assert schedule.next_due() == 10.0
    assert popped(schedule, 10.0) == "a"


def test_the_sooner_of_two_times_counts() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add_at("a", 10.0)
    schedule.add_at("a", 5.0)
    schedule.add_at("a", 20.0)
    assert popped(schedule, 5.0) == "a"
    schedule.succeeded("a", 5.0, None)
    assert popped(schedule, 100.0) is None


def test_an_event_brings_a_requeued_key_forward_and_replaces_its_time() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add_at("a", 10.0)
    schedule.add("a", 1.0)
    assert popped(schedule, 1.0) == "a"
    schedule.succeeded("a", 1.0, None)
    assert schedule.next_due() is None


def test_failures_double_the_delay_until_a_success() -> None:
    schedule: Schedule[str] = Schedule(Backoff(base=1.0, cap=10.0))
    now = 0.0
    delays = []
    schedule.add("a", now)
    for _ in range(6):
        assert popped(schedule, now) == "a"
        delays.append(schedule.failed("a", now, random=1.0))
        now += delays[-1]
    assert delays == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert popped(schedule, now) == "a"
    schedule.succeeded("a", now, 0.0)
    assert popped(schedule, now) == "a"
    assert schedule.failed("a", now, random=1.0) == 1.0


def test_an_event_shortens_a_long_back_off_but_not_below_the_first_delay() -> None:
    schedule: Schedule[str] = Schedule(Backoff(base=1.0))
    now = 0.0
    schedule.add("a", now)
    for _ in range(8):
        schedule.pop(now)
        now += schedule.failed("a", now, random=1.0)
    schedule.pop(now)
    schedule.failed("a", now, random=1.0)
    schedule.add("a", now + 0.1)
    assert popped(schedule, now + 0.9) is None
    assert popped(schedule, now + 1.0) == "a"


def test_an_event_during_a_run_that_fails_waits_for_the_first_delay_only() -> None:
    schedule: Schedule[str] = Schedule(Backoff(base=1.0))
    schedule.add("a", 0.0)
    schedule.pop(0.0)
    schedule.failed("a", 0.0, random=1.0)
    schedule.pop(1.0)
    schedule.add("a", 1.0)
    assert schedule.failed("a", 1.0, random=1.0) == 1.0
    assert popped(schedule, 2.0) == "a"


def test_a_server_that_asks_for_patience_gets_it() -> None:
    schedule: Schedule[str] = Schedule(Backoff(base=1.0))
    schedule.add("a", 0.0)
    schedule.pop(0.0)
    assert schedule.failed("a", 0.0, random=1.0, at_least=30.0) == 30.0
    schedule.add("a", 1.0)
    assert popped(schedule, 29.0) is None


@given(
    failures=st.integers(1, 10_000),
    random=st.floats(0, 1, exclude_max=True),
    base=st.floats(0.01, 10),
    cap=st.floats(10, 1000),
)
def test_a_delay_is_between_half_and_all_of_the_nominal(
    failures: int, random: float, base: float, cap: float
) -> None:
    nominal = min(cap, base * 2.0 ** min(failures - 1, 60))
    assert nominal / 2 <= Backoff(base, cap).delay(failures, random) <= nominal


KEYS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS),
        st.tuples(st.just("later"), KEYS),
        st.tuples(st.just("pop"), st.none()),
        st.tuples(st.just("succeed"), KEYS),
        st.tuples(st.just("fail"), KEYS),
        st.tuples(st.just("pass"), st.none()),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_no_event_is_lost_and_no_key_runs_twice_at_a_time(
    steps: list[tuple[str, str | None]],
) -> None:
    schedule: Schedule[str] = Schedule(Backoff(base=1.0, cap=8.0))
    now = 0.0
    active: set[str] = set()
    owed: set[str] = set()  # keys with an event that no run has begun after

    def pop() -> None:
        found = popped(schedule, now)
        if found is not None:
            assert found not in active
            active.add(found)
            owed.discard(found)

    for step, key in steps:
        if step == "add" and key:
            schedule.add(key, now)
            owed.add(key)
        elif step == "later" and key:
            schedule.add_at(key, now + 3.0)
            owed.add(key)
        elif step == "pop":
            pop()
        elif step == "pass":
            now += 1.0
        elif key in active and key:
            active.remove(key)
            if step == "succeed":
                schedule.succeeded(key, now, None)
            else:
                schedule.failed(key, now, random=0.5)
                owed.add(key)

    for _ in range(50):
        pop()
        for key in sorted(active):
            schedule.succeeded(key, now, None)
        active.clear()
        now += 1.0
    assert owed == set()
    assert (schedule.depth, schedule.active, schedule.failing) == (0, 0, 0)
    assert schedule.next_due() is None


@pytest.mark.parametrize("sick_failures", [1, 20])
def test_a_sick_key_does_not_delay_another(sick_failures: int) -> None:
    schedule: Schedule[str] = Schedule()
    now = 0.0
    schedule.add("sick", now)
    for _ in range(sick_failures):
        schedule.pop(now)
        now += schedule.failed("sick", now, random=0.5)
    schedule.pop(now)
    schedule.failed("sick", now, random=0.5)
    schedule.add("well", now)
    assert schedule.pop(now) == ("well", 0.0)
