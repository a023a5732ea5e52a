"""Whole builds with steps: pictures to labels, sentences to vectors, several inputs and outputs."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dlagent.build.runtime import Array, Session
from dlagent.domain.artifact.selfcheck import compare, golden_input
from dlagent.domain.artifact.summary import parse_summary

Make = Callable[..., ModelProto]
Json = dict[str, Any]
LABELS = ["red", "green", "blue"]
WIDTH = 3


@pytest.fixture
def colours(make_model: Make) -> ModelProto:
    """The mean of each of three channels of a picture of 4 x 4, as logits."""
    mean = helper.make_node("ReduceMean", ["pixels", "axes"], ["logits"], keepdims=0)
    model = make_model([mean], {"pixels": ["n", 3, 4, 4]}, {"logits": ["n", 3]})
    model.graph.initializer.append(numpy_helper.from_array(np.asarray([2, 3], np.int64), "axes"))
    return model


@pytest.fixture
def encoder(make_model: Make) -> ModelProto:
    """Token vectors from a table, and the first of them as a second output."""
    table = np.asarray([[0, 0, 0], [1, 2, 2], [3, 0, 4], [5, 5, 5]])
    first = helper.make_node("Gather", ["tokens", "zero"], ["first"], axis=1)
    model = make_model(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
            # A mask that is read, as attention reads it.
            helper.make_node("Cast", ["attention_mask"], ["read"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["read"], ["any"], keepdims=1),
            helper.make_node("Mul", ["looked_up", "any"], ["tokens"]),
            first,
        ],
        {"input_ids": ["n", "t"], "attention_mask": ["n", "t"]},
        {"tokens": ["n", "t", WIDTH], "first": ["n", WIDTH]},
        {"table": table},
        types={"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64},
        opset=17,
    )
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(0, np.int64), "zero"))
    return model


@pytest.fixture
def total(make_model: Make) -> ModelProto:
    """y = a + b, rows of 4."""
    add = helper.make_node("Add", ["a", "b"], ["y"])
    return make_model([add], {"a": ["n", 4], "b": ["n", 4]}, {"y": ["n", 4]})


def tensors(found: Any) -> list[tuple[str, str, list[int]]]:
    return [(t.name, str(t.data_type), t.shape) for t in found]


def published(summary: Any) -> Any:
    assert "Published" == summary.outcome, summary.message
    return summary


PICTURE_STEPS: list[Json] = [
    {"resize": {"height": 6, "width": 6, "layout": "HWC"}},
    {"centerCrop": {"height": 4, "width": 4, "layout": "HWC"}},
    {"scale": {"multiply": "0.00392156862745098"}},
    {"normalize": {"mean": ["0.485", "0.456", "0.406"], "std": ["0.229", "0.224", "0.225"]}},
    {"transpose": {"axes": [2, 0, 1]}},
]


def picture(rows: int, columns: int, channel: int) -> Array:
    value = np.zeros((1, rows, columns, 3), np.uint8)
    value[..., channel] = 255
    return value


def test_pictures_of_any_size_become_labels(workshop: Any, colours: ModelProto) -> None:
    workshop.put(colours)

    summary = published(
        workshop.build(
            inputs=[{"name": "image", "dataType": "UINT8", "shape": [-1, -1, 3]}],
            perceive=PICTURE_STEPS,
            act=[{"softmax": {}}, {"topK": {"k": 2}}, {"labels": {"values": LABELS}}],
        )
    )

    assert [("image", "UINT8", [-1, -1, 3])] == tensors(summary.interface.inputs)
    answer = [("values", "FP32", [2]), ("labels", "BYTES", [2])]
    assert answer == tensors(summary.interface.outputs)
    artifact = workshop.store_root / f"artifacts/{summary.key}"
    assert "data_type: TYPE_STRING" in (artifact / "model/config.pbtxt").read_text()
    session = Session(workshop.model_bytes(summary.key))
    for channel, label in enumerate(LABELS):
        seen = session.run({"image": picture(9, 5, channel)})
        assert label == seen["labels"][0, 0]
        assert seen["values"][0, 0] > 0.9


def test_the_golden_answer_holds_text(workshop: Any, colours: ModelProto) -> None:
    workshop.put(colours)
    labels = ["rot", "grün", "青"]
    built = published(workshop.build(act=[{"argmax": {}}, {"labels": {"values": labels}}]))
    summary = parse_summary(built.to_message())

    assert summary is not None
    assert summary == built
    check = summary.self_check
    assert check is not None
    assert check.outputs[0].head[0] in labels
    feed = {t.name: golden_input(check.seed, t) for t in check.inputs}
    seen = Session(workshop.model_bytes(summary.key)).run(feed)
    assert compare(check, seen) is None
    sent = np.array([[text.encode() for text in row] for row in seen["label"]], object)
    assert compare(check, {"label": sent}) is None
    wrong = np.array([["gelb"]], object)
    assert "value 0 is 'gelb' instead of" in str(compare(check, {"label": wrong}))


EMBED: list[Json] = [
    {"meanPooling": {"mask": "attention_mask"}, "output": "tokens"},
    {"l2Normalize": {}},
]


def test_sentences_become_vectors(workshop: Any, encoder: ModelProto) -> None:
    workshop.put(encoder)

    summary = published(workshop.build(act=EMBED))

    assert [("input_ids", "INT64", [-1]), ("attention_mask", "INT64", [-1])] == tensors(
        summary.interface.inputs
    )
    # The output that act is not for stays what it is, in its place.
    assert [("embedding", "FP32", [3]), ("first", "FP32", [3])] == tensors(
        summary.interface.outputs
    )
    ids, mask = np.asarray([[1, 2, 3], [2, 0, 3]]), np.asarray([[1, 1, 0], [1, 0, 0]])
    seen = Session(workshop.model_bytes(summary.key)).run(
        {"input_ids": ids, "attention_mask": mask}
    )
    pooled = np.asarray([[2, 1, 3], [3, 0, 4]])
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(seen["embedding"], expected, rtol=1e-6)
    assert [[1, 2, 2], [3, 0, 4]] == seen["first"].tolist()


def test_a_mask_counts_as_the_network_gets_it(workshop: Any, encoder: ModelProto) -> None:
    """Clients send booleans; the network, and so the pooling, takes INT64."""
    workshop.put(encoder)

    summary = published(
        workshop.build(
            inputs=[
                {"name": "attention_mask", "dataType": "BOOL", "shape": [-1]},
                {"name": "input_ids", "dataType": "INT32", "shape": [-1]},
            ],
            perceive=[
                {"cast": {"dataType": "INT64"}, "input": "attention_mask"},
                {"cast": {"dataType": "INT64"}, "input": "input_ids"},
            ],
            act=EMBED[:1],
        )
    )

    assert [("input_ids", "INT32", [-1]), ("attention_mask", "BOOL", [-1])] == tensors(
        summary.interface.inputs
    )
    ids, mask = np.asarray([[1, 2]], np.int32), np.asarray([[False, True]])
    seen = Session(workshop.model_bytes(summary.key)).run(
        {"input_ids": ids, "attention_mask": mask}
    )
    assert [[3, 0, 4]] == seen["embedding"].tolist()


def test_each_input_has_its_own_steps(workshop: Any, total: ModelProto) -> None:
    """Steps of two inputs may stand mixed; what is not perceived goes in as it is."""
    workshop.put(total)

    summary = published(
        workshop.build(
            inputs=[
                {"name": "b", "dataType": "INT32", "shape": [2]},
                {"name": "a", "dataType": "UINT8", "shape": [2, 2]},
            ],
            perceive=[
                {"reshape": {"shape": [4]}, "input": "a"},
                {"oneHot": {"depth": 2}, "input": "b"},
                {"scale": {"multiply": "0.5"}, "input": "a"},
                {"reshape": {"shape": [4]}, "input": "b"},
            ],
        )
    )

    assert [("a", "UINT8", [2, 2]), ("b", "INT32", [2])] == tensors(summary.interface.inputs)
    feed: dict[str, Array] = {
        "a": np.asarray([[[2, 4], [6, 8]]], np.uint8),
        "b": np.asarray([[1, 0]], np.int32),
    }
    seen = Session(workshop.model_bytes(summary.key)).run(feed)
    assert [[1, 3, 4, 4]] == seen["y"].tolist()


def test_only_some_inputs_have_steps(workshop: Any, total: ModelProto) -> None:
    workshop.put(total)

    summary = published(workshop.build(perceive=[{"scale": {"multiply": 3}, "input": "b"}]))

    feed = {name: np.ones((1, 4), np.float32) for name in ("a", "b")}
    seen = Session(workshop.model_bytes(summary.key)).run(feed)
    assert [[4, 4, 4, 4]] == seen["y"].tolist()


def test_a_single_input_may_be_named(workshop: Any, double: Make) -> None:
    workshop.put(double())

    summary = published(
        workshop.build(
            inputs=[{"name": "raw", "dataType": "UINT8", "shape": [4]}],
            perceive=[{"cast": {"dataType": "FP32"}, "input": "raw"}],
            act=[{"sigmoid": {}, "output": "y"}, {"threshold": {"value": "0.9"}}],
        )
    )

    assert [("above", "BOOL", [4])] == tensors(summary.interface.outputs)
    seen = Session(workshop.model_bytes(summary.key)).run(
        {"raw": np.asarray([[0, 1, 2, 3]], np.uint8)}
    )
    assert [[False, False, True, True]] == seen["above"].tolist()


def test_one_value_an_example_goes_through_steps(workshop: Any, double: Make) -> None:
    workshop.put(double(["batch"]))

    summary = published(workshop.build(perceive=[{"scale": {"multiply": 5}}]))

    assert [("x", "FP32", [1])] == tensors(summary.interface.inputs)
    seen = Session(workshop.model_bytes(summary.key)).run({"x": np.asarray([[3]], np.float32)})
    assert [[30]] == seen["y"].tolist()


def test_one_number_an_example_becomes_a_row(workshop: Any, total: ModelProto) -> None:
    workshop.put(total)

    summary = published(
        workshop.build(
            inputs=[
                {"name": "a", "dataType": "FP32", "shape": [4]},
                {"name": "b", "dataType": "INT32", "shape": []},
            ],
            perceive=[{"oneHot": {"depth": 4}, "input": "b"}],
        )
    )

    assert [("a", "FP32", [4]), ("b", "INT32", [1])] == tensors(summary.interface.inputs)
    feed = {"a": np.zeros((2, 4), np.float32), "b": np.asarray([[3], [0]], np.int32)}
    seen = Session(workshop.model_bytes(summary.key)).run(feed)
    assert [[0, 0, 0, 1], [1, 0, 0, 0]] == seen["y"].tolist()


def test_an_input_that_comes_back_is_served(workshop: Any, make_model: Make) -> None:
    workshop.put(
        make_model([helper.make_node("Neg", ["x"], ["y"])], {"x": ["n", 2]}, {"x": ["n", 2]})
    )

    assert [("x", "FP32", [2])] == tensors(published(workshop.build()).interface.outputs)


def test_text_that_a_network_gives_is_served(workshop: Any, make_model: Make) -> None:
    names = numpy_helper.from_array(np.asarray(["no", "yes"], object), "names")
    model = make_model(
        [
            helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=1),
            helper.make_node("Gather", ["names", "best"], ["said"], axis=0),
        ],
        {"x": ["n", 2]},
        {"said": ["n", 1]},
        types={"said": TensorProto.STRING},
    )
    model.graph.initializer.append(names)
    workshop.put(model)

    summary = published(workshop.build())

    assert [("said", "BYTES", [1])] == tensors(summary.interface.outputs)


REFUSED = [
    pytest.param(
        "total",
        {"perceive": [{"scale": {"multiply": 2}}]},
        r"the step scale says not which of the inputs \['a', 'b'\].*add input: NAME",
        id="which input?",
    ),
    pytest.param(
        "total",
        {"perceive": [{"scale": {"multiply": 2}, "input": "c"}]},
        r"scale is for the input c, the agent has \['a', 'b'\]; correct input",
        id="an input that is not there",
    ),
    pytest.param(
        "total",
        {
            "inputs": [{"name": n, "dataType": "FP32", "shape": [4]} for n in ("a", "raw")],
            "perceive": [{"scale": {"multiply": 2}, "input": "raw"}],
        },
        r"declares the inputs \['a', 'raw'\], the network has \['a', 'b'\]",
        id="names of their own for one of several inputs",
    ),
    pytest.param(
        "total",
        {
            "inputs": [{"name": n, "dataType": "UINT8", "shape": [4]} for n in ("a", "b")],
            "perceive": [{"scale": {"multiply": 2}, "input": "a"}],
        },
        r"the input b is declared as UINT8 \[4\], the network has FP32",
        id="an input without steps that does not fit",
    ),
    pytest.param(
        "total",
        {"perceive": [{"reshape": {"shape": [2, 2]}, "input": "b"}]},
        r"perceive makes FP32 \[2, 2\], the network's input b takes FP32 \[4\]",
        id="steps that do not fit",
    ),
    pytest.param(
        "colours",
        {
            "inputs": [{"name": "image", "dataType": "UINT8", "shape": [-1, -1, 3]}],
            "perceive": [{"transpose": {"axes": [2, 0, 1]}}, {"cast": {"dataType": "FP32"}}],
        },
        r"perceive makes FP32 \[3, -1, -1\].* takes FP32 \[3, 4, 4\]: add a resize",
        id="pictures of any size for a network of one size",
    ),
    pytest.param(
        "encoder",
        {"act": [{"l2Normalize": {}}]},
        r"one output, the network has \['tokens', 'first'\]; add output: NAME",
        id="which output?",
    ),
    pytest.param(
        "encoder",
        {"act": [{"l2Normalize": {}, "output": "last"}]},
        r"the output last, the network has \['tokens', 'first'\]; correct output",
        id="an output that is not there",
    ),
    pytest.param(
        "encoder",
        {"act": [{"l2Normalize": {}, "output": "first"}, {"sigmoid": {}, "output": "tokens"}]},
        "only the first act step may have output",
        id="two outputs",
    ),
    pytest.param(
        "encoder",
        {"act": [{"meanPooling": {"mask": "mask"}, "output": "tokens"}]},
        r"the mask mask, and the agent's inputs are \['attention_mask', 'input_ids'\]",
        id="a mask that is not there",
    ),
    pytest.param(
        "colours",
        {"act": [{"argmax": {}}, {"labels": {"values": ["a", "b"]}}]},
        "there are 3 classes and 2 values; write one value for each class",
        id="a class without a label",
    ),
    pytest.param(
        "colours",
        {
            "inputs": [{"name": "index", "dataType": "FP32", "shape": [3, 4, 4]}],
            "perceive": [{"scale": {"multiply": 1}}],
            "act": [{"argmax": {}}],
        },
        "would be called index",
        id="an input named as what act makes",
    ),
]


@pytest.mark.parametrize(("model", "fields", "why"), REFUSED)
def test_what_does_not_fit_is_told(
    workshop: Any, request: pytest.FixtureRequest, model: str, fields: Json, why: str
) -> None:
    workshop.put(request.getfixturevalue(model))

    refused = workshop.build(**fields)

    assert ("Failed", "ShapeMismatch") == (refused.outcome, refused.reason), refused.message
    assert re.search(f"^fuse: .*{why}", refused.message), refused.message
