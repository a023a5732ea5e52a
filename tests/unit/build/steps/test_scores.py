"""sigmoid and threshold: what networks with several answers at once need."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlagent.api.types import Tensor
from dlagent.build import chain
from tests.unit.build.steps.running import (
    Array,
    Json,
    Made,
    assert_refused,
    check,
    each_batching,
    each_opset,
    steps,
    tensor,
)

SIGMOID: Json = {"sigmoid": {}}


def threshold(value: str | int) -> Json:
    return {"threshold": {"value": value}}


@each_batching
@pytest.mark.parametrize(
    ("raw", "given", "made"),
    [
        pytest.param(SIGMOID, tensor("FP32", 5), [("probabilities", "FP32", [5])], id="sigmoid"),
        pytest.param(
            SIGMOID, tensor("FP64", 2, 5), [("probabilities", "FP64", [2, 5])], id="sigmoid, double"
        ),
        pytest.param(
            SIGMOID, tensor("FP16", 5), [("probabilities", "FP16", [5])], id="sigmoid, half"
        ),
        pytest.param(
            threshold("0.5"), tensor("FP32", 2, 5), [("above", "BOOL", [2, 5])], id="threshold"
        ),
        pytest.param(
            threshold("0.5"), tensor("FP64", 5), [("above", "BOOL", [5])], id="threshold, double"
        ),
        pytest.param(
            threshold(".5"), tensor("FP16", 5), [("above", "BOOL", [5])], id="threshold, half"
        ),
    ],
)
def test_the_operators_do_what_numpy_does(
    raw: Json, given: Tensor, made: Made, batched: bool
) -> None:
    check((raw,), given, made, batched)


@each_opset
def test_every_opset_has_them(opset: int) -> None:
    check(
        (SIGMOID, threshold("0.6")), tensor("FP32", 9), [("above", "BOOL", [9])], True, opset=opset
    )


@pytest.mark.parametrize(
    ("x", "expected"),
    [(0, 0.5), (np.log(3), 0.75), (1000, 1), (-1000, 0), (np.inf, 1), (-np.inf, 0)],
)
def test_a_probability(x: float, expected: float) -> None:
    value = np.asarray([[x]], np.float32)
    (seen,) = check((SIGMOID,), tensor("FP32", 1), [("probabilities", "FP32", [1])], True, value)

    assert pytest.approx(expected) == seen.item()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        pytest.param(0.25, False, id="below"),
        pytest.param(0.5, False, id="equal is not above"),
        pytest.param(0.75, True, id="above"),
        pytest.param(np.nan, False, id="not a number"),
    ],
)
def test_what_is_above(x: float, expected: bool) -> None:
    value = np.asarray([[x]], np.float32)
    (seen,) = check((threshold("0.5"),), tensor("FP32", 1), [("above", "BOOL", [1])], True, value)

    assert expected == seen.item()


FLOATS = st.floats(-30, 30, width=32)


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=FLOATS))
def test_any_numbers(value: Array) -> None:
    size = value.shape[1]

    made = [("probabilities", "FP32", [size])]
    check((SIGMOID,), tensor("FP32", size), made, batched=True, value=value, atol=1e-6)
    check((threshold("0.1"),), tensor("FP32", size), [("above", "BOOL", [size])], True, value)


@pytest.mark.parametrize("raw", [SIGMOID, threshold(1)], ids=["sigmoid", "threshold"])
@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param(tensor("INT64", 4), "needs floats", id="whole numbers"),
        pytest.param(tensor("FP32"), "at least one axis", id="a scalar"),
    ],
)
def test_what_they_cannot_take_is_refused(raw: Json, given: Tensor, why: str) -> None:
    assert_refused((raw,), given, why)


@pytest.mark.parametrize(
    ("score", "answer", "stands_for"),
    [
        pytest.param(0.7, True, 0.7, id="right: the score itself"),
        pytest.param(0.3, False, 0.3, id="right below: the score itself"),
        pytest.param(0.7, False, 0.5, id="wrong: the nearest score that it would be right for"),
        pytest.param(0.3, True, 0.5, id="wrong below"),
    ],
)
def test_what_an_answer_stands_for(score: float, answer: bool, stands_for: float) -> None:
    compare = chain.reference(steps(threshold("0.5")), np.asarray([[score]]), True, {}).compare

    assert compare is not None
    seen, right = compare(np.asarray([[answer]]))
    assert (stands_for, score) == (seen.item(), right.item())
