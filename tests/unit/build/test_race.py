"""Times of networks, taken in turns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from onnx import helper

from dlagent.build.race import FEWEST_ROUNDS, RunnerError, affordable_feeds, race
from dlagent.build.runtime import Array, RunError, Session
from tests.unit.build.conftest import double, make_model

SIZE = 256


def matmuls(count: int) -> Session:
    """A network of so many products of matrices: its time grows with their number."""
    nodes = [
        helper.make_node("MatMul", [f"v{at}" if at else "x", "w"], [f"v{at + 1}"])
        for at in range(count)
    ]
    weights = {"w": np.full((SIZE, SIZE), 1 / SIZE)}
    axes: list[Any] = ["batch", SIZE]
    model = make_model(nodes, {"x": axes}, {f"v{count}": axes}, weights)
    return Session(model.SerializeToString())


def feed(rows: int) -> dict[str, Any]:
    return {"x": np.ones((rows, SIZE), np.float32)}


def test_more_work_takes_longer_and_each_network_sees_each_round() -> None:
    found = race({"short": matmuls(1), "long": matmuls(40)}, [feed(1), feed(32)], 5, 60)

    assert {"short": (5, 2), "long": (5, 2)} == {n: r.shape for n, r in found.items()}
    assert (np.median(found["long"], axis=0) > 4 * np.median(found["short"], axis=0)).all()


def test_it_ends_when_the_time_is_over_but_not_before_it_has_some_rounds() -> None:
    found = race({"x": matmuls(1)}, [feed(1)], 1000, 0)

    assert (FEWEST_ROUNDS, 1) == found["x"].shape


def test_a_network_that_does_not_take_the_feed_says_so() -> None:
    session = Session(double(["batch", 4]).SerializeToString())

    with pytest.raises(RunError):
        race({"x": session}, [feed(1)], 3, 1)


class SlowAtFirst:
    """A second for the first batch of each size, as where kernels are looked for."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        return dict(feed)

    def close(self) -> None:
        pass

    def milliseconds(self, feed: Mapping[str, Array], runs: int) -> float:
        del runs
        rows = len(next(iter(feed.values())))
        known = rows in self._seen
        self._seen.add(rows)
        return 1.0 if known else 1000.0


def test_the_first_of_a_size_says_nothing_of_the_others() -> None:
    feeds = [feed(1), feed(8), feed(32)]

    assert feeds == affordable_feeds(SlowAtFirst(), feeds, 1.0)


class LittleRoom(SlowAtFirst):
    """For batches of so many rows."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def milliseconds(self, feed: Mapping[str, Array], runs: int) -> float:
        if len(next(iter(feed.values()))) > self._most:
            raise RunError("out of memory")
        return super().milliseconds(feed, runs)


def test_batches_that_there_is_no_room_for_are_left_out() -> None:
    feeds = [feed(1), feed(8), feed(32)]

    assert feeds[:2] == affordable_feeds(LittleRoom(16), feeds, 60)
    with pytest.raises(RunError, match="out of memory"):
        affordable_feeds(LittleRoom(0), feeds, 60)


def test_who_did_not_run_is_named() -> None:
    with pytest.raises(RunnerError, match="out of memory") as raised:
        race({"first": LittleRoom(64), "second": LittleRoom(4)}, [feed(1), feed(8)], 3, 1)

    assert "second" == raised.value.name


def test_batches_that_take_too_long_are_left_out_but_never_the_first() -> None:
    feeds = [feed(1), feed(8), feed(512)]

    assert feeds[:1] == affordable_feeds(matmuls(40), feeds, 0)
    assert feeds == affordable_feeds(matmuls(1), feeds, 60)
