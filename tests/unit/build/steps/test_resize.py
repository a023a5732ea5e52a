"""resize: as ONNX Runtime, as the reference, and as torch, which was written by others."""

from typing import Any

import numpy as np
import pytest
import torch
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
    example,
    tensor,
)

SINGLE = 1e-5  # rounding of single precision on values of 0 to 1


def resize(height: int, width: int, layout: str = "CHW", **more: Any) -> Json:
    return {"resize": {"height": height, "width": width, "layout": layout, **more}}


CASES = [
    pytest.param(resize(8, 6), tensor("FP32", 3, 4, 5), [("x", "FP32", [3, 8, 6])], id="larger"),
    pytest.param(resize(2, 3), tensor("FP32", 3, 9, 7), [("x", "FP32", [3, 2, 3])], id="smaller"),
    pytest.param(
        resize(8, 6, "HWC"), tensor("FP32", 4, 5, 3), [("x", "FP32", [8, 6, 3])], id="channels last"
    ),
    pytest.param(
        resize(8, 6, "HWC"),
        tensor("UINT8", 4, 5, 3),
        [("x", "FP32", [8, 6, 3])],
        id="bytes become floats, so that nothing is rounded",
    ),
    pytest.param(
        resize(5, 3), tensor("FP16", 1, 4, 4), [("x", "FP32", [1, 5, 3])], id="half precision"
    ),
    pytest.param(
        resize(5, 3), tensor("FP64", 1, 4, 4), [("x", "FP32", [1, 5, 3])], id="double precision"
    ),
    pytest.param(
        resize(4, 5), tensor("FP32", 2, 4, 5), [("x", "FP32", [2, 4, 5])], id="the same size"
    ),
    pytest.param(
        resize(1, 1), tensor("FP32", 2, 4, 5), [("x", "FP32", [2, 1, 1])], id="a single pixel"
    ),
    pytest.param(
        resize(3, 224),
        tensor("FP32", 1, 2, 4000),
        [("x", "FP32", [1, 3, 224])],
        id="thousands of pixels",
    ),
    pytest.param(
        resize(6, 2, interpolation="Nearest"),
        tensor("FP32", 2, 4, 5),
        [("x", "FP32", [2, 6, 2])],
        id="nearest",
    ),
    pytest.param(
        resize(2, 2, "HWC", interpolation="Nearest"),
        tensor("UINT8", 4, 4, 1),
        [("x", "UINT8", [2, 2, 1])],
        id="nearest keeps the type",
    ),
    pytest.param(
        resize(1, 1, interpolation="Nearest"),
        tensor("INT64", 2, 14, 6),
        [("x", "INT64", [2, 1, 1])],
        id="nearest of two as near",
    ),
]


@each_batching
@pytest.mark.parametrize(("raw", "given", "made"), CASES)
def test_the_operators_do_what_numpy_does(
    raw: Json, given: Tensor, made: Made, batched: bool
) -> None:
    check((raw,), given, made, batched, atol=SINGLE)


@each_opset
@pytest.mark.parametrize(("interpolation", "kind"), [("Bilinear", "FP32"), ("Nearest", "UINT8")])
def test_every_opset_has_it(opset: int, interpolation: str, kind: str) -> None:
    check(
        (resize(8, 6, "HWC", interpolation=interpolation),),
        tensor("UINT8", 4, 5, 3),
        [("x", kind, [8, 6, 3])],
        batched=True,
        opset=opset,
        atol=255 * SINGLE,
    )


@pytest.mark.parametrize("interpolation", ["Bilinear", "Nearest"])
def test_pictures_of_any_size_are_taken(interpolation: str) -> None:
    value = np.random.default_rng(0).random((2, 7, 9, 3), np.float32)

    check(
        (resize(4, 4, "HWC", interpolation=interpolation),),
        tensor("FP32", -1, -1, 3),
        [("x", "FP32", [4, 4, 3])],
        batched=True,
        value=value,
        atol=SINGLE,
    )


SIDE = st.integers(1, 40)


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(SIDE, SIDE, SIDE, SIDE, st.sampled_from(["Bilinear", "Nearest"]))
def test_any_size_becomes_any_other(
    rows: int, columns: int, height: int, width: int, interpolation: str
) -> None:
    check(
        (resize(height, width, interpolation=interpolation),),
        tensor("FP32", 2, rows, columns),
        [("x", "FP32", [2, height, width])],
        batched=True,
        atol=SINGLE,
    )


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(SIDE, SIDE, SIDE, SIDE)
def test_bilinear_is_that_of_torch_without_antialias(
    rows: int, columns: int, height: int, width: int
) -> None:
    given = tensor("FP32", 1, rows, columns)
    (seen,) = check(
        (resize(height, width),), given, [("x", "FP32", [1, height, width])], True, atol=SINGLE
    )

    expected = torch.nn.functional.interpolate(
        torch.from_numpy(example(given, batched=True)),
        (height, width),
        mode="bilinear",
        align_corners=False,
        antialias=False,
    )
    np.testing.assert_allclose(seen, expected.numpy(), rtol=0, atol=SINGLE)


@pytest.mark.parametrize(
    ("size", "wanted"), [(2, 4), (4, 2), (8, 4), (9, 3), (5, 20), (224, 112), (32, 224), (7, 5)]
)
def test_nearest_is_that_of_torch_named_exact(size: int, wanted: int) -> None:
    given = tensor("FP32", 1, size, size)
    (seen,) = check(
        (resize(wanted, wanted, interpolation="Nearest"),),
        given,
        [("x", "FP32", [1, wanted, wanted])],
        batched=True,
    )

    expected = torch.nn.functional.interpolate(
        torch.from_numpy(example(given, batched=True)), (wanted, wanted), mode="nearest-exact"
    )
    np.testing.assert_array_equal(seen, expected.numpy())


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(tensor("FP32", 28, 28), id="no axis for channels"),
        pytest.param(tensor("FP32", 1, 3, 4, 4), id="an axis too many"),
    ],
)
def test_what_is_no_picture_is_refused(given: Tensor) -> None:
    assert_refused((resize(8, 8),), given, "three axes CHW; add a reshape step")
