"""meanPooling and l2Normalize, beside how sentence-transformers writes them in torch."""

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from dlagent.api.types import Tensor
from tests.unit.build.steps.running import (
    ROWS,
    Array,
    Json,
    Made,
    assert_refused,
    check,
    each_batching,
    each_opset,
    example,
    tensor,
)

POOL: Json = {"meanPooling": {"mask": "mask"}}
UNIT: Json = {"l2Normalize": {}}


def mask_of(data_type: str, *shape: int) -> Tensor:
    return tensor(data_type, *shape, name="mask")


@each_batching
@pytest.mark.parametrize("mask_type", ["INT64", "INT32", "BOOL", "FP32", "UINT8"])
@pytest.mark.parametrize(
    ("given", "made"),
    [
        pytest.param(tensor("FP32", 6, 5), [("embedding", "FP32", [5])], id="single"),
        pytest.param(tensor("FP16", 6, 5), [("embedding", "FP16", [5])], id="half"),
        pytest.param(tensor("FP64", 6, 5), [("embedding", "FP64", [5])], id="double"),
        pytest.param(tensor("FP32", 2, 6, 5), [("embedding", "FP32", [2, 5])], id="an axis before"),
    ],
)
def test_pooling_is_what_numpy_does(
    given: Tensor, made: Made, mask_type: str, batched: bool
) -> None:
    mask = mask_of(mask_type, *given.shape[:-1])

    check((POOL,), given, made, batched, mask=(mask, example(mask, batched)))


@each_batching
@pytest.mark.parametrize(
    ("given", "made"),
    [
        pytest.param(tensor("FP32", 6), [("x", "FP32", [6])], id="single"),
        pytest.param(tensor("FP16", 6), [("x", "FP16", [6])], id="half"),
        pytest.param(tensor("FP64", 2, 6), [("x", "FP64", [2, 6])], id="double, several vectors"),
    ],
)
def test_unit_vectors_are_what_numpy_makes(given: Tensor, made: Made, batched: bool) -> None:
    check((UNIT,), given, made, batched)


@each_opset
def test_every_opset_has_them(opset: int) -> None:
    mask = mask_of("INT64", 6)

    check(
        (POOL, UNIT),
        tensor("FP32", 6, 5),
        [("embedding", "FP32", [5])],
        batched=True,
        opset=opset,
        mask=(mask, example(mask, batched=True)),
    )


def pooled(value: Array, mask: Array, *more: Json) -> Array:
    given = tensor("FP32", -1, value.shape[-1])
    described = (mask_of("INT64", -1), mask)
    made = [("embedding", "FP32", [value.shape[-1]])]
    return check((POOL, *more), given, made, True, value, mask=described, atol=1e-6)[0]


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(st.integers(1, 5), st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_sentences_as_sentence_transformers_pools_them(
    sentences: int, tokens: int, width: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    value = generator.standard_normal((sentences, tokens, width)).astype(np.float32)
    mask = generator.integers(0, 2, (sentences, tokens))

    vectors, kept = torch.from_numpy(value), torch.from_numpy(mask)
    spread = kept.unsqueeze(-1).expand(vectors.size()).float()
    mean = torch.sum(vectors * spread, 1) / torch.clamp(spread.sum(1), min=1e-9)
    np.testing.assert_allclose(pooled(value, mask), mean.numpy(), rtol=1e-5, atol=1e-6)
    unit = torch.nn.functional.normalize(mean, p=2, dim=1)
    np.testing.assert_allclose(pooled(value, mask, UNIT), unit.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param([1, 1, 0], [2, 3], id="hidden tokens do not count"),
        pytest.param([1, 1, 1], [5, 6], id="all count"),
        pytest.param([0, 0, 0], [0, 0], id="no token: zeros, and not 0 / 0"),
    ],
)
def test_the_mean(mask: list[int], expected: list[float]) -> None:
    value = np.asarray([[[1, 2], [3, 4], [11, 12]]], np.float32)

    assert [expected] == pytest.approx(pooled(value, np.asarray([mask])))


def test_no_vector_has_length_1_where_all_is_zero() -> None:
    value = np.zeros((ROWS, 3), np.float16)
    (seen,) = check((UNIT,), tensor("FP16", 3), [("x", "FP16", [3])], True, value)

    assert not seen.any()


@pytest.mark.parametrize(
    ("given", "mask", "why"),
    [
        pytest.param(tensor("INT64", 6, 5), mask_of("INT64", 6), "needs floats", id="no floats"),
        pytest.param(tensor("FP32", 6), mask_of("INT64", 6), "axis of tokens", id="no tokens"),
        pytest.param(
            tensor("FP32", 6, 5), mask_of("INT64", 7), r"\[7\] and must have \[6\]", id="other size"
        ),
        pytest.param(
            tensor("FP32", 6, 5), mask_of("INT64", 6, 5), r"must have \[6\]", id="other axes"
        ),
        pytest.param(
            tensor("FP32", 6, 5), tensor("INT64", 6, name="ids"), r"\['ids'\]; write one", id="none"
        ),
    ],
)
def test_what_cannot_be_pooled_is_refused(given: Tensor, mask: Tensor, why: str) -> None:
    assert_refused((POOL,), given, why, {mask.name: mask})


@pytest.mark.parametrize("given", [tensor("INT64", 4), tensor("FP32")], ids=str)
def test_what_has_no_length_is_refused(given: Tensor) -> None:
    assert_refused((UNIT,), given, "needs floats with at least one axis")
