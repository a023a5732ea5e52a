"""The end of a search where there is no room for all that it compares."""

from collections.abc import Mapping

import pytest

from dlagent.build.runtime import Array, RunError, Session
from dlagent.build.search import Search
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.report import Verdict
from dlagent.domain.search.candidate import SOURCE, Plan
from tests.unit.build.test_search import (
    DEPTHS,
    FEEDS,
    FP32,
    LIMIT,
    Workbench,
    candidate,
    matmuls,
    told,
)


class Room:
    """Starts only so many networks at a time, and has them work only where they are few enough."""

    def __init__(self, most: int, most_at_work: int) -> None:
        self._most = most
        self.most_at_work = most_at_work
        self.running: set[int] = set()

    def start(self, model: bytes, engine: Engine) -> "Tenant":
        del engine
        if len(self.running) >= self._most:
            raise RunError("out of memory")
        return Tenant(model, self)


class Tenant(Session):
    def __init__(self, model: bytes, room: Room) -> None:
        super().__init__(model)
        self._room = room
        room.running.add(id(self))

    def milliseconds(self, feed: Mapping[str, Array], runs: int) -> float:
        if len(self._room.running) > self._room.most_at_work:
            raise RunError("out of memory")
        return super().milliseconds(feed, runs)

    def close(self) -> None:
        self._room.running.remove(id(self))


@pytest.mark.parametrize(
    ("most", "most_at_work", "failed"),
    [
        pytest.param(4, 4, 0, id="room for all"),
        pytest.param(3, 4, 1, id="room for the source and two"),
        pytest.param(4, 3, 1, id="room for four, and for the work of three"),
    ],
)
def test_what_has_no_room_at_the_end_is_given_up_and_all_is_freed(
    most: int, most_at_work: int, failed: int
) -> None:
    room, bench = Room(most, most_at_work), Workbench()
    names = ("tiny", "quarter", "half")
    plan = Plan((FP32, *(candidate(name) for name in names)))
    source = matmuls(DEPTHS[SOURCE])
    work = Search(bench, bench, room.start, source, FEEDS, (1, 8), LIMIT, lambda _: None, (1.0,))

    found = work.run(plan, lambda _: True, 600)

    assert failed == list(told(found).values()).count(Verdict.FAILED)
    assert found.chosen is not None
    assert Verdict.CHOSEN is told(found)[found.chosen.name]
    assert not room.running
