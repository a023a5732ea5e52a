"""Measuring in process, on a clock that only the model and the waiting move."""

from typing import Any

import pytest

from dlagent.api.types import DataType, Tensor
from dlagent.build import measure_in_process as stage
from dlagent.build.runtime import Array, Session
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import Simulated

MILLISECOND = 0.001
SIMULATED = Simulated(base_milliseconds=40, per_item_milliseconds=20)


class Clock:
    """In place of the module `time`."""

    now = 100.0
    slept = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


class Model(Session):
    """A network that takes so long for each row."""

    def __init__(self, clock: Clock, milliseconds_per_row: float) -> None:
        self._clock = clock
        self._seconds_per_row = milliseconds_per_row * MILLISECOND

    def run(self, feed: Any) -> dict[str, Array]:
        self._clock.now += len(feed["x"]) * self._seconds_per_row
        return {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stage, "time", clock)
    return clock


def measured(
    clock: Clock,
    milliseconds_per_row: float,
    simulated: Simulated | None = None,
    batched: bool = True,
) -> dict[int, float]:
    tensors = [Tensor(name="x", data_type=DataType.FP32, shape=[4] if batched else [1, 4])]
    interface = ModelInterface(inputs=tensors, outputs=tensors, batched=batched)
    points = stage.measure_in_process(Model(clock, milliseconds_per_row), interface, 1, simulated)
    return {point.batch: point.milliseconds for point in points}


def test_plain_times_are_those_of_the_model(clock: Clock) -> None:
    expected = {batch: pytest.approx(0.5 * batch) for batch in stage.BATCHES}

    assert expected == measured(clock, 0.5)
    assert 0 == clock.slept
    assert clock.now - 100 < stage.BUDGET_SECONDS


def test_a_slow_model_is_measured_as_far_as_there_is_time(clock: Clock) -> None:
    assert [1, 2] == list(measured(clock, 100))


@pytest.mark.parametrize("milliseconds_per_row", [0.001, 0.5, 2])
def test_simulated_times_are_those_of_the_accelerator(
    clock: Clock, milliseconds_per_row: float
) -> None:
    expected = {batch: pytest.approx(SIMULATED.milliseconds(batch)) for batch in stage.BATCHES}

    assert expected == measured(clock, milliseconds_per_row, SIMULATED)
    assert clock.now - 100 < 7


def test_a_model_slower_than_the_accelerator_takes_its_own_time(clock: Clock) -> None:
    assert {1: 100, 2: 200} == pytest.approx(measured(clock, 100, SIMULATED))


def test_a_model_without_a_batch_axis_is_one_row(clock: Clock) -> None:
    assert {1: 60} == pytest.approx(measured(clock, 0.5, SIMULATED, batched=False))
