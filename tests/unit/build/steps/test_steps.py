"""The steps that need few words: what each makes of a shape, and its operators against numpy."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from dlagent.api.types import ActStep, PerceiveStep, Tensor
from dlagent.build.failure import BuildError
from dlagent.build.steps import STEPS
from dlagent.build.steps.base import GraphWriter
from tests.unit.build.steps.running import assert_refused, check, each_batching, steps, tensor

CASES = [
    # step, given, (name, type, shape) of what it makes
    pytest.param(
        {"scale": {"multiply": "0.5"}},
        tensor("FP32", 3),
        [("x", "FP32", [3])],
        id="scale keeps floats",
    ),
    pytest.param(
        {"scale": {"multiply": "0.5"}},
        tensor("UINT8", 2, 3),
        [("x", "FP32", [2, 3])],
        id="scale makes floats of bytes",
    ),
    pytest.param(
        {"scale": {"multiply": 2}},
        tensor("FP64", 3),
        [("x", "FP64", [3])],
        id="scale keeps double precision",
    ),
    pytest.param(
        {"normalize": {"mean": ["0.3"], "std": ["0.5"]}},
        tensor("UINT8", 4, 4),
        [("x", "FP32", [4, 4])],
        id="normalize with one number",
    ),
    pytest.param(
        {"normalize": {"mean": ["0.1", "0.2", "0.3"], "std": [1, 2, 4]}},
        tensor("FP32", 3, 2, 5),
        [("x", "FP32", [3, 2, 5])],
        id="normalize by channel, channels first",
    ),
    pytest.param(
        {"normalize": {"mean": ["0.1", "0.2", "0.3"], "std": [1, 2, 4]}},
        tensor("FP32", 2, 5, 3),
        [("x", "FP32", [2, 5, 3])],
        id="normalize by channel, channels last",
    ),
    pytest.param(
        {"reshape": {"shape": [1, 4, 4]}},
        tensor("UINT8", 16),
        [("x", "UINT8", [1, 4, 4])],
        id="reshape",
    ),
    pytest.param(
        {"reshape": {"shape": [2, -1]}},
        tensor("FP32", 4, 3),
        [("x", "FP32", [2, 6])],
        id="reshape finds one size",
    ),
    pytest.param(
        {"transpose": {"axes": [2, 0, 1]}},
        tensor("FP32", 4, 5, 3),
        [("x", "FP32", [3, 4, 5])],
        id="transpose",
    ),
    pytest.param(
        {"cast": {"dataType": "FP16"}}, tensor("FP32", 3), [("x", "FP16", [3])], id="cast"
    ),
    pytest.param(
        {"cast": {"dataType": "FP32"}},
        tensor("FP32", 3),
        [("x", "FP32", [3])],
        id="cast to the same type",
    ),
    pytest.param(
        {"softmax": {}}, tensor("FP32", 2, 5), [("probabilities", "FP32", [2, 5])], id="softmax"
    ),
    pytest.param({"argmax": {}}, tensor("FP32", 2, 5), [("index", "INT64", [2, 1])], id="argmax"),
    pytest.param(
        {"topK": {"k": 3}},
        tensor("FP32", 2, 5),
        [("values", "FP32", [2, 3]), ("indices", "INT64", [2, 3])],
        id="topK makes two tensors",
    ),
    pytest.param(
        {"topK": {"k": 2}},
        tensor("INT64", 5),
        [("values", "INT64", [2]), ("indices", "INT64", [2])],
        id="topK of equal values keeps their order",
    ),
]


@each_batching
@pytest.mark.parametrize(("raw", "given", "made"), CASES)
def test_the_operators_do_what_numpy_does(
    raw: dict[str, Any], given: Tensor, made: list[tuple[str, str, list[int]]], batched: bool
) -> None:
    check((raw,), given, made, batched)


@pytest.mark.parametrize(
    ("raw", "given", "why"),
    [
        pytest.param(
            {"normalize": {"mean": [1, 2], "std": [1, 2]}},
            tensor("FP32", 3, 4),
            "first or a last axis",
            id="no axis has as many channels",
        ),
        pytest.param(
            {"reshape": {"shape": [5]}}, tensor("FP32", 4), "4 values do not fit", id="too few"
        ),
        pytest.param(
            {"reshape": {"shape": [3, -1]}}, tensor("FP32", 4), "do not fit", id="no whole size"
        ),
        pytest.param(
            {"transpose": {"axes": [0, 0]}},
            tensor("FP32", 4, 4),
            "must name each of 0 to 1 once",
            id="an axis twice",
        ),
        pytest.param({"softmax": {}}, tensor("INT64", 4), "needs floats", id="softmax of integers"),
        pytest.param({"softmax": {}}, tensor("FP32"), "one axis", id="softmax of a scalar"),
        pytest.param({"argmax": {}}, tensor("BOOL", 4), "needs numbers", id="argmax of booleans"),
        pytest.param({"argmax": {}}, tensor("BYTES", 4), "needs numbers", id="argmax of text"),
        pytest.param({"cast": {"dataType": "BYTES"}}, tensor("FP32", 4), "not BYTES", id="to text"),
        pytest.param(
            {"topK": {"k": 5}}, tensor("FP32", 4), "k must be between 1 and 4", id="k too large"
        ),
    ],
)
def test_what_a_step_cannot_take_is_refused(raw: dict[str, Any], given: Tensor, why: str) -> None:
    assert_refused((raw,), given, why)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param({"mean": [1], "std": [1, 2]}, id="lists of two lengths"),
        pytest.param({"mean": [1], "std": ["0.0"]}, id="division by zero"),
    ],
)
def test_normalize_refuses_numbers_that_make_no_sense(numbers: dict[str, Any]) -> None:
    with pytest.raises(BuildError, match="as many numbers"):
        steps({"normalize": numbers})


def test_the_registry_knows_every_step_of_the_api_that_is_fused() -> None:
    fields = {*PerceiveStep.model_fields, *ActStep.model_fields}

    assert fields - {"input", "output", "python"} == set(STEPS)


def test_a_graph_writer_gives_names_of_their_own() -> None:
    graph = GraphWriter("p", batched=True, opset=18)
    names = [
        graph.constant(np.zeros(1)),
        graph.shape([3]),
        *graph.node("TopK", ["a", "b"], 2),
        *graph.node("TopK", ["a", "b"], 2),
    ]

    assert len(names) == len(set(names))
    assert [0, 3] == onnx.numpy_helper.to_array(graph.constants[1]).tolist()
    assert TensorProto.INT64 == graph.constants[1].data_type
