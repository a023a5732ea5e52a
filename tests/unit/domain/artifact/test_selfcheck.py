"""Golden inputs are the same everywhere; comparisons say what differs."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.selfcheck import (
    NUMPY_TYPES,
    ExpectedOutput,
    SelfCheck,
    compare,
    golden_input,
    head_of,
)

CHECK = SelfCheck(
    seed="0",
    inputs=[Tensor(name="x", data_type=DataType.FP32, shape=[1, 2])],
    outputs=[
        ExpectedOutput(name="y", data_type=DataType.FP32, shape=[1, 2], head=[1.0, float("inf")]),
        ExpectedOutput(name="index", data_type=DataType.INT64, shape=[1, 1], head=[3.0]),
        ExpectedOutput(name="label", data_type=DataType.BYTES, shape=[1, 2], head=["é", "1"]),
    ],
    relative_tolerance=0.01,
    absolute_tolerance=0.001,
)
GOOD = {
    "y": np.array([[1.0, np.inf]], np.float32),
    "index": np.array([[3]]),
    "label": np.array([["é", "1"]], object),
}


@pytest.mark.parametrize("data_type", [each for each in DataType if each != DataType.BYTES])
def test_every_type_has_a_golden_input_within_its_range(data_type: DataType) -> None:
    made = golden_input("seed", Tensor(name="x", data_type=data_type, shape=[50, 20]))

    assert NUMPY_TYPES[data_type] == made.dtype
    assert (50, 20) == made.shape
    values = made.astype(np.float64)
    assert values.min() >= 0
    if NUMPY_TYPES[data_type].kind == "f":
        assert values.max() < 1
        assert 0.4 < values.mean() < 0.6
    elif data_type in (DataType.UINT8, DataType.INT8):
        assert values.max() > 120
    else:
        assert [0, 1] == np.unique(values).tolist()


def test_text_is_no_input() -> None:
    with pytest.raises(ValueError, match="x cannot be of BYTES"):
        golden_input("seed", Tensor(name="x", data_type=DataType.BYTES, shape=[2]))


def test_golden_inputs_never_change() -> None:
    """A change here makes every artifact in every store fail its self-check."""
    made = golden_input("0", Tensor(name="x", data_type=DataType.FP32, shape=[1, 28, 28]))

    assert "e18331a8d77ce551" == hashlib.sha256(made.tobytes()).hexdigest()[:16]


@settings(deadline=None)  # the machine may be busy
@given(seed=st.text(max_size=8), name=st.text(min_size=1, max_size=8))
def test_the_same_seed_gives_the_same_values_and_another_gives_others(seed: str, name: str) -> None:
    tensor = Tensor(name=name, data_type=DataType.FP32, shape=[16])

    assert golden_input(seed, tensor).tolist() == golden_input(seed, tensor).tolist()
    assert golden_input(seed, tensor).tolist() != golden_input(seed + "x", tensor).tolist()


def test_the_golden_output_passes() -> None:
    assert compare(CHECK, GOOD) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"y": np.array([[1.009, np.inf]])}, None, id="a float within the tolerance passes"
        ),
        pytest.param(
            {"y": np.array([[1.02, np.inf]])},
            "output y: value 0 is 1.02 instead of 1",
            id="a float beyond the tolerance",
        ),
        pytest.param(
            {"y": np.array([[np.nan, np.inf]])},
            "output y: value 0 is nan instead of 1",
            id="not a number",
        ),
        pytest.param(
            {"y": np.array([[1, 5e30]])},
            "output y: value 1 is 5e+30 instead of inf",
            id="no tolerance about infinity",
        ),
        pytest.param(
            {"index": np.array([[4]])},
            "output index: value 0 is 4 instead of 3",
            id="integers are exact",
        ),
        pytest.param(
            {"label": np.array([["é".encode(), b"1"]], object)}, None, id="text as clients get it"
        ),
        pytest.param(
            {"label": np.array([["é", "1.0"]], object)},
            "output label: value 1 is '1.0' instead of '1'",
            id="text is exact",
        ),
        pytest.param(
            {"label": np.array([[b"\xff", b"1"]], object)},
            "output label: value 0 is '\ufffd' instead of 'é'",
            id="bytes that are no text",
        ),
        pytest.param(
            {"y": np.array([1.0, np.inf])},
            "output y: shape [2] instead of [1, 2]",
            id="another shape",
        ),
    ],
)
def test_what_differs_is_said(
    changes: dict[str, NDArray[np.generic]], expected: str | None
) -> None:
    assert expected == compare(CHECK, GOOD | changes)


def test_a_missing_output_is_said() -> None:
    assert "output index is missing" == compare(CHECK, {"y": GOOD["y"]})


def test_text_survives_the_way_through_json() -> None:
    assert CHECK.outputs[2] == ExpectedOutput.model_validate_json(
        CHECK.outputs[2].model_dump_json()
    )


def test_the_head_is_short_and_reads_as_single_precision() -> None:
    assert 32 == len(head_of(np.zeros(100)))
    assert [0.100000001] == head_of(np.array([0.1], np.float32))
    assert ["a", "b"] == head_of(np.array([["a"], [b"b"]], object))
