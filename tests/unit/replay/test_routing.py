"""What `--routing` may say, and connections that stick."""

import numpy as np
import pytest

from dlagent.replay import kernel
from dlagent.replay.routing import Routing, RoutingError, parse_routing

STICKY = Routing(kernel.CONNECTIONS, 6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("random", Routing(kernel.RANDOM)),
        ("p2c", Routing(kernel.TWO_CHOICES)),
        ("connections:1", Routing(kernel.CONNECTIONS, 1, seed=7)),
        ("connections:10000", Routing(kernel.CONNECTIONS, 10_000, seed=7)),
    ],
)
def test_routings(text: str, expected: Routing) -> None:
    assert expected == parse_routing(text, seed=7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "least",
        "random:2",
        "p2c:1",
        "connections",
        "connections:",
        "connections:0",
        "connections:-1",
        "connections:10001",
        "connections:1e3",
        "connections:8:9",
        "Random",
    ],
)
def test_what_is_no_routing_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(RoutingError, match=r"is no routing: give random, p2c .* or connections:N"):
        parse_routing(text)


@pytest.mark.parametrize(
    ("connections", "ready", "expected"),
    [
        pytest.param([-1] * 6, [4], [4] * 6, id="at first, all find one"),
        pytest.param([4] * 6, [4, 9], [4] * 6, id="a new pod gets none"),
        pytest.param([4] * 6, [9], [9] * 6, id="until theirs is gone"),
        pytest.param([4, 9] * 3, [4], [4] * 6, id="only those whose pod is gone move"),
        pytest.param([4] * 6, [], [-1] * 6, id="without a pod they are to nobody"),
    ],
)
def test_connections_stay_while_their_pod_does(
    connections: list[int], ready: list[int], expected: list[int]
) -> None:
    found = np.array(connections)
    STICKY.connect(found, ready, np.random.default_rng(0))
    assert expected == found.tolist()


def test_connections_that_lose_their_pod_are_spread() -> None:
    found = np.full(3000, kernel.NOBODY)
    Routing(kernel.CONNECTIONS, 3000).connect(found, [1, 5, 6], np.random.default_rng(0))
    assert all(900 < count < 1100 for count in np.bincount(found)[[1, 5, 6]])
