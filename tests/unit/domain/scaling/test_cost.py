"""What replicas cost: whose time counts, at which price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.cost import PriceTable, Usage, price_per_thousand, used
from dlagent.domain.scaling.signals import PodSeen, Supply

TABLE = PriceTable(replica=0.5, accelerators={"nvidia.com/gpu": 2.0})
TICK = 10.0


def pods(*supplies: Supply) -> list[PodSeen]:
    return [PodSeen(f"pod-{number}", supply, 0.0) for number, supply in enumerate(supplies)]


@pytest.mark.parametrize(
    ("resource", "count", "price"),
    [
        pytest.param(None, 0, 0.5, id="a replica without accelerators"),
        pytest.param("nvidia.com/gpu", 1, 2.5, id="with one"),
        pytest.param("nvidia.com/gpu", 4, 8.5, id="with four"),
        pytest.param("amd.com/gpu", 1, None, id="with one of unknown price"),
    ],
)
def test_the_price_of_a_replica(resource: str | None, count: int, price: float | None) -> None:
    assert price == TABLE.of_replica(resource, count)


@pytest.mark.parametrize(
    ("supplies", "elapsed", "expected"),
    [
        pytest.param([], 10, 0, id="no pod"),
        pytest.param([Supply.READY, Supply.READY], 10, 20, id="two that answer"),
        pytest.param([Supply.STARTING], 10, 10, id="one that is coming up"),
        pytest.param([Supply.STUCK], 10, 10, id="one that does not come up"),
        pytest.param([Supply.LEAVING], 10, 10, id="one that is being removed"),
        pytest.param([Supply.UNSCHEDULABLE], 10, 0, id="one that no node has taken"),
        pytest.param([Supply.READY], 25, 25, id="a tick that came late"),
        pytest.param([Supply.READY], 3600, 30, id="a clock that was put forward"),
        pytest.param([Supply.READY], -3600, 0, id="a clock that was put back"),
    ],
)
def test_whose_time_counts(supplies: list[Supply], elapsed: float, expected: float) -> None:
    found = used(Usage(), pods(*supplies), 0, None, elapsed, TICK)
    assert Usage(expected, 0, 0) == found


def test_accelerators_and_price_follow_the_time_and_add_up() -> None:
    before = Usage(1.0, 2.0, 3.0)
    found = used(before, pods(Supply.READY, Supply.READY), 4, 18.0, 10, TICK)
    assert Usage(21.0, 82.0, 3.1) == found


@given(
    supplies=st.lists(st.sampled_from(Supply), max_size=20),
    elapsed=st.floats(-1e9, 1e9),
    price=st.none() | st.floats(0, 1e9),
)
def test_counters_never_fall(supplies: list[Supply], elapsed: float, price: float | None) -> None:
    before = Usage(5.0, 6.0, 7.0)
    found = used(before, pods(*supplies), 2, price, elapsed, TICK)
    assert found.replica_seconds >= before.replica_seconds
    assert found.accelerator_seconds >= before.accelerator_seconds
    assert found.cost >= before.cost


@pytest.mark.parametrize(
    ("cost", "requests", "price"),
    [
        pytest.param(5.0, 2000, 2.5, id="the mean price"),
        pytest.param(0.0, 2000, 0.0, id="replicas that cost nothing"),
        pytest.param(5.0, 0, None, id="no request has no price"),
    ],
)
def test_the_price_of_a_thousand_requests(
    cost: float, requests: float, price: float | None
) -> None:
    assert price == price_per_thousand(cost, requests)
