"""Who judges networks: what they lose, how surely, and when there is nothing to judge by."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper

from dlagent.api.types import Metric as MetricKind
from dlagent.build.jury import DataJury, ParityJury
from dlagent.build.network import inspect
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.parity import as_run
from dlagent.build.runtime import Session
from dlagent.build.workshop import Examples
from dlagent.domain.data.split import Part
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric
from tests.unit.build.conftest import make_model

CLASSES = 4
ACCURACY = Metric(MetricKind.ACCURACY)
ERROR = Metric(MetricKind.MAX_ABS_ERROR)


def scaled(factors: list[float]) -> ModelProto:
    """Scores [n, 4] of rows [n, 4]: each class's own value, times a factor of its own."""
    axes: list[Any] = ["batch", CLASSES]
    node = helper.make_node("Mul", ["x", "factors"], ["scores"])
    return make_model([node], {"x": axes}, {"scores": axes}, {"factors": factors})


SOURCE = scaled([1, 1, 1, 1])
WITHOUT_ONE_CLASS = scaled([1, 1, 1, -1])
BROKEN = scaled([float("nan"), 1, 1, 1])


def examples(select: int, gate: int, labelled: bool = True) -> Examples:
    """Rows whose largest value is at the label, so that the source is always right."""
    count = select + gate
    labels = np.arange(count) % CLASSES
    rows: NDArray[np.float32] = np.eye(CLASSES, dtype=np.float32)[labels]
    numbers = np.arange(count)
    parts = {
        Part.TRAIN: numbers[:0],
        Part.CALIBRATE: numbers[:0],
        Part.SELECT: numbers[:select],
        Part.GATE: numbers[select:],
    }
    return Examples(
        {"x": rows}, labels if labelled else None, parts, lambda raw: {"x": raw["x"] + 0.0}
    )


def jury(select: int = 800, gate: int = 800) -> DataJury:
    return DataJury(inspect(SOURCE), examples(select, gate), Limit(ACCURACY, 0.01))


def session(model: ModelProto) -> Session:
    return Session(model.SerializeToString())


def test_a_network_that_answers_the_same_loses_nothing_for_sure_within_limits() -> None:
    score = jury().score(session(SOURCE), 1.0)

    assert (1.0, 0.0) == (score.metric, score.drop)
    assert score.at_least <= 0 < score.at_most < 0.01


def test_a_network_that_forgot_a_class_loses_its_share() -> None:
    score = jury().score(session(WITHOUT_ONE_CLASS), 1.0)

    assert (0.75, 0.25) == (score.metric, score.drop)
    assert 0.2 < score.at_least < 0.25 < score.at_most < 0.3


def test_a_share_of_the_examples_says_less() -> None:
    """But never fewer than 500 of them, where there are so many."""
    judge = jury(select=4000)

    whole, part = (judge.score(session(WITHOUT_ONE_CLASS), share) for share in (1.0, 0.01))

    assert part.at_most - part.drop > whole.at_most - whole.drop
    assert 0.25 == part.drop


def test_answers_that_are_no_numbers_cannot_be_used() -> None:
    with pytest.raises(OptimisationError, match="NaN or infinity for 800 of 800 examples"):
        jury().score(session(BROKEN), 1.0)


def test_finalists_are_held_against_the_gate_all_at_once() -> None:
    networks = {"same": session(SOURCE), "less": session(WITHOUT_ONE_CLASS)}

    opinions = jury().gate(networks, others=0)

    assert {"same": True, "less": False} == {n: o.result.passed for n, o in opinions.items()}
    assert (1.0, 0.75) == (opinions["less"].result.before, opinions["less"].result.after)
    assert "75 % after, 25 points lost (limit 1)" in opinions["less"].sentence


def test_who_may_be_judged_later_makes_the_gate_stricter() -> None:
    (alone,) = jury().gate({"same": session(SOURCE)}, others=0).values()
    (one_of_three,) = jury().gate({"same": session(SOURCE)}, others=2).values()

    assert 0.95 == alone.result.level
    assert 1 - 0.05 / 3 == pytest.approx(one_of_three.result.level)


def test_an_error_is_a_loss_without_labels() -> None:
    judge = DataJury(inspect(SOURCE), examples(10, 10, labelled=False), Limit(ERROR, 0.1))

    score = judge.score(session(scaled([1, 1, 1, 1.25])), 1.0)

    assert (0.25, 0.25, 0.25) == (score.drop, score.at_least, score.at_most)
    assert judge.too_few() is None


@pytest.mark.parametrize(
    ("gate", "enough"),
    [
        pytest.param(299, True, id="just so many as let a network pass that never differs"),
        pytest.param(100, False, id="fewer"),
    ],
)
def test_too_few_examples_are_told_of(gate: int, enough: bool) -> None:
    needed = jury(gate=gate).too_few()

    assert enough == (needed is None)
    assert needed in (None, 299)


def test_the_table_by_class_shows_what_was_lost() -> None:
    rows = jury().report(session(WITHOUT_ONE_CLASS)).per_class

    assert [0, 1, 2, 3] == [row.label for row in rows]
    assert [1.0, 1.0, 1.0, 0.0] == [row.recall_after for row in rows]
    assert {1.0} == {row.recall_before for row in rows}
    assert {200} == {row.examples for row in rows}


def test_without_a_data_set_only_the_same_answers_will_do() -> None:
    network = inspect(SOURCE)
    judge = ParityJury(as_run(network), network)

    assert 0.0 == judge.score(session(SOURCE), 1.0).drop
    with pytest.raises(OptimisationError, match="differs from the source"):
        judge.score(session(WITHOUT_ONE_CLASS), 1.0)
    with pytest.raises(OptimisationError, match=r"spec\.build\.dataset"):
        judge.drop(SOURCE, 10)
