"""When one pod has most of the work: seen, harmful, and lasting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.signals import PodLoad
from dlagent.domain.scaling.skew import Skew, SkewState, skew_of, watched

CAPACITY, AT_ONCE = 30.0, 8
SKEW = Skew("a", 3)


def loads(*pods: tuple[float, float]) -> list[PodLoad]:
    """Requests/s and requests that wait, of pods a, b, c ..."""
    return [
        PodLoad(chr(ord("a") + number), rate, 60.0, waiting)
        for number, (rate, waiting) in enumerate(pods)
    ]


@pytest.mark.parametrize(
    ("pods", "named"),
    [
        pytest.param([(50, 90), (5, 0), (5, 0)], "a", id="one gets more than it can do"),
        pytest.param([(5, 0), (50, 0)], "b", id="of two, although nothing waits yet"),
        pytest.param([(25, 0), (5, 0), (5, 0)], None, id="what it can do does no harm"),
        pytest.param([(90, 99), (35, 40), (35, 40)], None, id="all are full: more replicas help"),
        pytest.param([(35, 5), (20, 0), (20, 0)], None, id="less than twice the others"),
        pytest.param([(20, 50), (20, 1), (20, 2)], "a", id="one is slow: it keeps them waiting"),
        pytest.param([(20, 15), (20, 1), (20, 2)], None, id="two batches may wait"),
        pytest.param([(20, 50), (20, 30), (20, 2)], None, id="others wait too"),
        pytest.param([(90, 99)], None, id="a pod that is alone is not compared"),
        pytest.param([], None, id="no pod is none"),
        pytest.param([(0, 0), (0, 0)], None, id="no traffic is evenly spread"),
    ],
)
def test_a_moment(pods: list[tuple[float, float]], named: str | None) -> None:
    found = skew_of(loads(*pods), CAPACITY, AT_ONCE)
    assert (Skew(named, len(pods)) if named else None) == found


def test_chance_is_no_skew() -> None:
    """Nine of ten requests at one pod, ten in all."""
    few = [PodLoad("a", 0.15, 60.0, 0.0), PodLoad("b", 0.05, 60.0, 0.0)]
    assert skew_of(few, 0.1, AT_ONCE) is None


def lasting(*seen: Skew | None, seconds: float = 30.0) -> list[Skew | None]:
    state: SkewState | None = None
    said = []
    for number, skew in enumerate(seen):
        state = watched(state, skew, number * seconds)
        said.append(state.lasting if state is not None else None)
    return said


def test_it_is_said_once_it_has_lasted() -> None:
    assert [None] * 6 + [SKEW] * 2 == lasting(*[SKEW] * 8)


def test_a_tick_without_it_does_not_end_it() -> None:
    assert SKEW == lasting(*[SKEW] * 5, None, *[SKEW] * 3)[-1]


def test_a_minute_without_it_ends_it() -> None:
    assert lasting(*[SKEW] * 8, None, None, None)[-1] is None


def test_a_gap_begins_anew() -> None:
    assert lasting(*[SKEW] * 5, None, None, None, *[SKEW] * 3)[-1] is None


def test_the_pod_that_is_named_stays_named_while_it_lasts() -> None:
    assert SKEW == lasting(*[SKEW] * 8, Skew("b", 4))[-1]


def test_before_that_the_last_one_is_named() -> None:
    assert Skew("b", 4) == lasting(*[SKEW] * 6, Skew("b", 4))[-1]


def test_a_clock_that_jumps_begins_anew() -> None:
    state = watched(SkewState(SKEW, 1000.0, 2000.0), SKEW, 5.0)
    assert SkewState(SKEW, 5.0, 5.0) == state


amounts = st.floats(0, 1e6)
pod_loads = st.lists(
    st.builds(PodLoad, st.sampled_from("abcdef"), amounts, st.floats(1, 600), amounts),
    max_size=6,
    unique_by=lambda load: load.pod,
)


@given(pod_loads, st.floats(0.01, 1e5), st.integers(1, 128))
def test_whatever_is_measured_it_names_a_pod_that_is_there(
    found: list[PodLoad], capacity: float, at_once: int
) -> None:
    skew = skew_of(found, capacity, at_once)
    assert skew is None or skew.pod in {load.pod for load in found}


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(2, 9), st.floats(0.01, 1e5))
def test_an_even_load_is_never_skew(
    rate: float, waiting: float, pods: int, capacity: float
) -> None:
    assert skew_of(loads(*[(rate, waiting)] * pods), capacity, AT_ONCE) is None
