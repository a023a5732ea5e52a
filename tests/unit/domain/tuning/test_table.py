"""The table by workers, and the line for workers that were and were not measured."""

import pytest

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.tuning.table import Workers, by_workers, plainest, service_time

TAU = [
    TauPoint(batch=8, milliseconds=16, instances=4),
    TauPoint(batch=1, milliseconds=9, instances=4),
    TauPoint(batch=8, milliseconds=9),
    TauPoint(batch=1, milliseconds=2),
    TauPoint(batch=1, milliseconds=1.5, threads=2),
]


def test_an_old_manifest_is_of_one_instance_and_thread() -> None:
    point = TauPoint.model_validate({"batch": 2, "milliseconds": 3.0})
    assert (1, 1) == (point.instances, point.threads)


def test_the_fewest_workers_come_first_and_small_batches_before_large() -> None:
    table = by_workers(TAU)
    assert [Workers(), Workers(1, 2), Workers(4)] == list(table)
    assert [1, 8] == [point.batch for point in table[Workers(4)]]
    assert [2, 9] == [point.milliseconds for point in plainest(TAU)]
    assert () == plainest([])


@pytest.mark.parametrize(
    ("workers", "milliseconds"),
    [
        pytest.param(Workers(1), (2, 9), id="measured"),
        pytest.param(Workers(3), (9, 16), id="between: as slow as with more instances"),
        pytest.param(Workers(8), (18, 32), id="beyond: as if more instances gained nothing"),
        pytest.param(Workers(2, 2), (3, 24), id="one batch size, in proportion to it"),
    ],
)
def test_a_line_for_each(workers: Workers, milliseconds: tuple[float, float]) -> None:
    found = service_time(TAU, workers, 8, 0.001)
    assert found is not None
    assert (workers.instances, 8, 0.001) == (found.instances, found.max_batch, found.delay_seconds)
    assert milliseconds == pytest.approx((1000 * found.seconds(1), 1000 * found.seconds(8)))


def test_nothing_is_known_of_threads_that_were_not_measured() -> None:
    assert service_time(TAU, Workers(1, 4), 8) is None
