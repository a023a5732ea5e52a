"""The rules that several optimisations plan by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto

from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations.rules import is_transformer, share
from tests.unit.build.optimisations.quantise_workshop import attention, convolutions, products


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param(attention(), True, id="attention and normalisation"),
        pytest.param(convolutions(), False, id="convolutions"),
        pytest.param(products(), False, id="matrix products alone"),
    ],
)
def test_a_transformer_is_known_by_its_operators(model: ModelProto, expected: bool) -> None:
    assert expected is is_transformer(operator_counts(model))


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        pytest.param({"MatMul": 8, "Softmax": 2, "ReduceMean": 4}, True, id="norm in its parts"),
        pytest.param({"com.microsoft::Attention": 2, "LayerNormalization": 3}, True, id="fused"),
        pytest.param({"MatMul": 3, "Softmax": 1}, False, id="a classifier that ends in Softmax"),
        pytest.param({"MatMul": 1, "Softmax": 1, "ReduceMean": 1}, False, id="one product"),
    ],
)
def test_a_transformer_in_other_forms(operators: dict[str, int], expected: bool) -> None:
    assert expected is is_transformer(operators)


@given(st.floats(min_value=1e-6, max_value=1), st.integers(min_value=1, max_value=10_000))
def test_a_share_is_at_least_one_and_at_most_the_whole(effort: float, whole: int) -> None:
    assert 1 <= share(effort, whole) <= whole
    assert whole == share(1, whole)
