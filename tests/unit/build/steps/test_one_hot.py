"""oneHot: places, and numbers that have none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from dlagent.api.types import Tensor
from tests.unit.build.steps.running import (
    Json,
    Made,
    assert_refused,
    check,
    each_batching,
    each_opset,
    tensor,
)


def one_hot(depth: int) -> Json:
    return {"oneHot": {"depth": depth}}


@each_batching
@pytest.mark.parametrize(
    ("raw", "given", "made"),
    [
        pytest.param(one_hot(3), tensor("INT64", 4), [("x", "FP32", [4, 3])], id="a row"),
        pytest.param(one_hot(2), tensor("INT32", 2, 3), [("x", "FP32", [2, 3, 2])], id="a table"),
        pytest.param(one_hot(300), tensor("UINT8", 4), [("x", "FP32", [4, 300])], id="bytes"),
        pytest.param(one_hot(5), tensor("INT16"), [("x", "FP32", [5])], id="one number an example"),
    ],
)
def test_the_operators_do_what_numpy_does(
    raw: Json, given: Tensor, made: Made, batched: bool
) -> None:
    check((raw,), given, made, batched)


@pytest.mark.parametrize(
    ("number", "row"),
    [
        pytest.param(0, [1, 0, 0], id="the first place"),
        pytest.param(2, [0, 0, 1], id="the last place"),
        pytest.param(3, [0, 0, 0], id="above: no place"),
        pytest.param(-1, [0, 0, 0], id="below: no place"),
    ],
)
def test_the_place_of_a_number(number: int, row: list[float]) -> None:
    value = np.asarray([[number]], np.int64)
    (seen,) = check((one_hot(3),), tensor("INT64", 1), [("x", "FP32", [1, 3])], True, value)

    assert row == seen.reshape(-1).tolist()


@each_opset
def test_every_opset_has_it(opset: int) -> None:
    check((one_hot(3),), tensor("INT64", 4), [("x", "FP32", [4, 3])], batched=True, opset=opset)


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(st.integers(2, 20), st.lists(st.integers(-50, 50), min_size=1, max_size=20))
def test_any_numbers(depth: int, numbers: list[int]) -> None:
    value: Any = np.asarray([numbers], np.int32)

    check(
        (one_hot(depth),),
        tensor("INT32", len(numbers)),
        [("x", "FP32", [len(numbers), depth])],
        batched=True,
        value=value,
    )


@pytest.mark.parametrize("data_type", ["FP32", "BOOL"])
def test_what_is_no_whole_number_is_refused(data_type: str) -> None:
    assert_refused((one_hot(3),), tensor(data_type, 4), "whole numbers; add a cast step")
