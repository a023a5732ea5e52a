"""centerCrop: the middle, and which side loses more."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from dlagent.api.types import Tensor
from dlagent.build import chain
from tests.unit.build.steps.running import (
    Json,
    Made,
    assert_refused,
    check,
    each_batching,
    each_opset,
    steps,
    tensor,
)


def crop(height: int, width: int, layout: str = "CHW") -> Json:
    return {"centerCrop": {"height": height, "width": width, "layout": layout}}


CASES = [
    pytest.param(crop(2, 3), tensor("FP32", 3, 4, 7), [("x", "FP32", [3, 2, 3])], id="even"),
    pytest.param(crop(2, 3), tensor("UINT8", 1, 5, 4), [("x", "UINT8", [1, 2, 3])], id="odd"),
    pytest.param(
        crop(2, 3, "HWC"), tensor("INT64", 4, 7, 2), [("x", "INT64", [2, 3, 2])], id="last"
    ),
    pytest.param(crop(4, 7), tensor("FP32", 3, 4, 7), [("x", "FP32", [3, 4, 7])], id="all of it"),
]


@each_batching
@pytest.mark.parametrize(("raw", "given", "made"), CASES)
def test_the_operators_do_what_numpy_does(
    raw: Json, given: Tensor, made: Made, batched: bool
) -> None:
    check((raw,), given, made, batched)


def test_any_number_of_channels() -> None:
    made = chain.tensors_through(steps(crop(2, 2)), tensor("FP16", -1, 4, 4), {})

    assert [tensor("FP16", -1, 2, 2)] == made


@each_opset
def test_every_opset_has_it(opset: int) -> None:
    check((crop(2, 2),), tensor("FP32", 1, 5, 5), [("x", "FP32", [1, 2, 2])], True, opset=opset)


@pytest.mark.parametrize(
    ("size", "left", "kept"),
    [
        pytest.param(6, 2, [2, 3], id="as much on both sides"),
        pytest.param(5, 2, [1, 2], id="one more at the end"),
        pytest.param(5, 5, [0, 1, 2, 3, 4], id="nothing"),
    ],
)
def test_what_is_kept(size: int, left: int, kept: list[int]) -> None:
    rows = np.arange(size, dtype=np.float32).reshape(1, 1, size, 1)
    (seen,) = check(
        (crop(left, 1),), tensor("FP32", 1, size, 1), [("x", "FP32", [1, left, 1])], True, rows
    )

    assert kept == seen.reshape(-1).tolist()


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(st.data(), st.integers(1, 30), st.integers(1, 30), st.sampled_from(["CHW", "HWC"]))
def test_any_part_of_any_picture(data: st.DataObject, rows: int, columns: int, layout: str) -> None:
    height, width = data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns))
    shape, left = ([3, rows, columns], [3, height, width])
    if layout == "HWC":
        shape, left = ([rows, columns, 3], [height, width, 3])

    check((crop(height, width, layout),), tensor("UINT8", *shape), [("x", "UINT8", left)], True)


@pytest.mark.parametrize(
    ("raw", "given", "why"),
    [
        pytest.param(crop(5, 4), tensor("FP32", 3, 4, 4), "more than there is", id="higher"),
        pytest.param(crop(4, 5), tensor("FP32", 3, 4, 4), "more than there is", id="wider"),
        pytest.param(crop(4, 4), tensor("FP32", 3, -1, 4), "put a resize step before", id="free"),
        pytest.param(crop(2, 2), tensor("FP32", 4, 4), "three axes CHW", id="no picture"),
    ],
)
def test_what_it_cannot_take_is_refused(raw: Json, given: Tensor, why: str) -> None:
    assert_refused((raw,), given, why)
