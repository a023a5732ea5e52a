"""Parity of choices: another one is right only where the source's scores are as good for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from dlagent.build.failure import BuildError
from dlagent.build.fuse import fuse
from dlagent.build.network import inspect
from dlagent.build.parity import check_parity
from dlagent.build.runtime import Array, Session

Make = Callable[..., ModelProto]
Json = dict[str, Any]
LABELS = ["red", "green", "blue"]
CHOICES = [
    pytest.param([{"argmax": {}}], id="argmax"),
    pytest.param([{"topK": {"k": 2}}], id="topK"),
    pytest.param([{"argmax": {}}, {"labels": {"values": LABELS}}], id="label"),
    pytest.param([{"topK": {"k": 2}}, {"labels": {"values": LABELS}}], id="labels"),
]


def threshold(value: str) -> Any:
    return pytest.param([{"threshold": {"value": value}}], id="threshold")


@pytest.fixture
def constant(make_model: Make) -> ModelProto:
    """The scores 0.6, 0.6, 0.5, whatever comes in."""
    return make_model(
        [
            helper.make_node("Mul", ["x", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "scores"], ["y"]),
        ],
        {"x": ["n", 3]},
        {"y": ["n", 3]},
        {"zero": 0, "scores": [0.6, 0.6, 0.5]},
    )


def parity_with(workshop: Any, model: ModelProto, act: list[Json], scores: list[float]) -> float:
    """Of the fused model, with a source that always gives `scores`."""
    network = inspect(model)
    fused = fuse(network, workshop.request(act=act))
    session = Session(fused.model.SerializeToString())

    def source(inputs: list[Array]) -> list[Array]:
        return [np.asarray([scores] * len(inputs[0]), np.float32)]

    return check_parity(source, network, fused, session)


@pytest.mark.parametrize("act", [*CHOICES, threshold("0.6")])
def test_another_choice_is_right_where_the_scores_are_as_good(
    workshop: Any, constant: ModelProto, act: list[Json]
) -> None:
    worst = parity_with(workshop, constant, act, [0.6, 0.600001, 0.5])

    assert 0 < worst < 1e-5


@pytest.mark.parametrize("act", [*CHOICES, threshold("0.55")])
def test_another_choice_is_wrong_where_a_score_is_better(
    workshop: Any, constant: ModelProto, act: list[Json]
) -> None:
    """The values that topK makes are the same."""
    chosen = "index|indices|label|labels|above"
    with pytest.raises(BuildError, match=f"output ({chosen}) differs from the source") as refusal:
        parity_with(workshop, constant, act, [0.5, 0.6, 0.6])

    assert "ParityFailed" == refusal.value.reason


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([np.nan] * 3, id="NaN"),
        pytest.param([np.inf, -np.inf, np.nan], id="and infinity"),
    ],
)
def test_a_network_that_answers_no_number_is_refused(
    workshop: Any, make_model: Make, answer: list[float]
) -> None:
    """Its fused model answers the same, which would pass."""
    with pytest.raises(BuildError, match="NaN or infinity only, as one does whose") as refusal:
        parity_with(workshop, answering(make_model, answer), [], answer)

    assert "InvalidModel" == refusal.value.reason


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([np.nan, 1.0, np.inf], id="a number among others"),
        pytest.param([], id="nothing, as where nothing was found"),
    ],
)
def test_a_network_may_answer_no_number_at_times(
    workshop: Any, make_model: Make, answer: list[float]
) -> None:
    assert 0 == parity_with(workshop, answering(make_model, answer), [], answer)


def answering(make_model: Make, answer: list[float]) -> ModelProto:
    """A network that always gives this, whatever comes in."""
    size = len(answer)
    return make_model(
        [
            helper.make_node("ReduceMax", ["x"], ["one"], axes=[1]),
            helper.make_node("Mul", ["one", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "answer"], ["y"]),
        ],
        {"x": ["n", 3]},
        {"y": ["n", size]},
        {"zero": 0, "answer": answer},
        opset=13,
    )
