"""What is made of the looks at an agent under load."""

from typing import Any

import pytest

from dlagent.bench.sender import Limits, Post, Sender
from dlagent.domain.traffic.shapes import constant
from dlagent_demo.loaded import Decision, Look, Watched, look_at, watch_under_load

NOWHERE = Post("http://127.0.0.1:1/", b"")  # nobody listens there
STATUS = {
    "readyReplicas": 2,
    "scaling": {"desired": 3, "reason": "Load", "message": "90 requests/s arrive."},
}


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        pytest.param({"status": STATUS}, Look(7.0, 2, 3, "90 requests/s arrive."), id="it serves"),
        pytest.param({}, Look(7.0, 0, 0, ""), id="the operator has not seen it"),
    ],
)
def test_a_look_is_what_the_status_says(agent: dict[str, Any], expected: Look) -> None:
    assert expected == look_at(agent, 7.0)


def test_decisions_are_the_changes_and_replicas_are_added_up_over_time() -> None:
    looks = [
        Look(0.0, 1, 1, "quiet"),
        Look(10.0, 1, 2, "busy"),
        Look(14.0, 2, 2, "busy"),
        Look(20.0, 2, 1, "quiet again"),
    ]
    watched = Watched(Sender(NOWHERE, Limits()), constant(1.0, 20.0), looks)

    found = watched.decisions()

    assert [Decision(10.0, 1, 2, "busy"), Decision(20.0, 2, 1, "quiet again")] == found
    assert "1 -> 2: busy" == str(found[0])
    assert 10 + 4 + 2 * 6 == watched.replica_seconds()


def test_it_looks_until_every_request_has_ended() -> None:
    looked: list[float] = []

    watched = watch_under_load(
        NOWHERE,
        constant(100.0, 0.3),
        lambda: {"status": STATUS},
        lambda now: looked.append(now.looks[-1].seconds),
    )

    assert looked == [look.seconds for look in watched.looks]
    assert len(watched.sender.journal) == watched.sender.due > 0
    assert {"connection refused"} == set(watched.sender.journal.failures())
