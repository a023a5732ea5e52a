"""labels: names for what argmax and topK found."""

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

ARGMAX: Json = {"argmax": {}}
NAMES = ["ankle boot", "bag", "Stiefel für Größe 40", "靴"]


def labels(*values: str) -> Json:
    return {"labels": {"values": list(values)}}


def top(k: int) -> Json:
    return {"topK": {"k": k}}


@each_batching
@pytest.mark.parametrize(
    ("raw", "given", "made"),
    [
        pytest.param(
            (ARGMAX, labels(*NAMES)), tensor("FP32", 4), [("label", "BYTES", [1])], id="argmax"
        ),
        pytest.param(
            (top(2), labels(*NAMES)),
            tensor("FP32", 4),
            [("values", "FP32", [2]), ("labels", "BYTES", [2])],
            id="topK, whose values stay beside",
        ),
        pytest.param(
            ({"softmax": {}}, top(4), labels(*NAMES)),
            tensor("FP32", 3, 4),
            [("values", "FP32", [3, 4]), ("labels", "BYTES", [3, 4])],
            id="for each of several rows",
        ),
        pytest.param(
            (ARGMAX, labels("only")), tensor("FP32", 1), [("label", "BYTES", [1])], id="one class"
        ),
    ],
)
def test_the_operators_do_what_numpy_does(
    raw: tuple[Json, ...], given: Tensor, made: Made, batched: bool
) -> None:
    check(raw, given, made, batched)


@each_opset
def test_every_opset_has_it(opset: int) -> None:
    check(
        (ARGMAX, labels(*NAMES)),
        tensor("FP32", 4),
        [("label", "BYTES", [1])],
        batched=True,
        opset=opset,
    )


@pytest.mark.parametrize(("best", "name"), [*enumerate(NAMES)])
def test_the_name_of_a_class(best: int, name: str) -> None:
    value = np.eye(4, dtype=np.float32)[[best]]
    (seen,) = check(
        (ARGMAX, labels(*NAMES)), tensor("FP32", 4), [("label", "BYTES", [1])], True, value
    )

    assert [[name]] == seen.tolist()


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)  # the machine may be busy
@drawn(st.lists(TEXT, min_size=1, max_size=12), st.integers(1, 12))
def test_any_text(values: list[str], k: int) -> None:
    k = min(k, len(values))

    check(
        (top(k), labels(*values)),
        tensor("FP32", len(values)),
        [("values", "FP32", [k]), ("labels", "BYTES", [k])],
        batched=True,
    )


@pytest.mark.parametrize(
    ("raw", "given", "why"),
    [
        pytest.param(
            (ARGMAX, labels("a", "b")), tensor("FP32", 3), "3 classes and 2 values", id="too few"
        ),
        pytest.param(
            (top(1), labels("a", "b")), tensor("FP32", 1), "1 classes and 2 values", id="too many"
        ),
        pytest.param(
            (ARGMAX, labels("a")), tensor("FP32", -1), "spec.model.outputs", id="nobody knows"
        ),
        pytest.param((labels("a"),), tensor("INT64", 1), "put one of them before", id="no choice"),
        pytest.param(
            (ARGMAX, labels("a"), labels("a")), tensor("FP32", 1), "put one of them", id="twice"
        ),
    ],
)
def test_what_it_cannot_name_is_refused(raw: tuple[Json, ...], given: Tensor, why: str) -> None:
    assert_refused(raw, given, why)


@pytest.mark.parametrize("step", [{"softmax": {}}, ARGMAX, top(1), {"l2Normalize": {}}], ids=str)
@pytest.mark.parametrize("choice", [ARGMAX, top(2)], ids=str)
def test_nothing_else_follows_a_choice(choice: Json, step: Json) -> None:
    assert_refused((choice, step), tensor("FP32", 4), "cannot follow argmax or topK")


@pytest.mark.parametrize(
    ("names", "answer", "stands_for"),
    [
        pytest.param("abc", ["b", "c"], [0.5, 0.4], id="right"),
        pytest.param("abc", ["c", "b"], [0.4, 0.5], id="two that are as good, the other way round"),
        pytest.param("abc", ["a", "z"], [0.1, np.nan], id="wrong, and no label at all"),
        pytest.param("abb", ["b", "b"], [0.5, 0.4], id="two classes of one name"),
    ],
)
def test_the_score_that_a_label_stands_for(
    names: str, answer: list[str], stands_for: list[float]
) -> None:
    scores = np.asarray([[0.1, 0.5, 0.4]])
    compare = chain.reference(steps(top(2), labels(*names)), scores, True, {}).compare

    assert compare is not None
    seen, right = compare(np.asarray([answer], object))
    np.testing.assert_array_equal([stands_for], seen)
    assert [[0.5, 0.4]] == right.tolist()
