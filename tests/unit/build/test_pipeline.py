"""The whole build on small models: what comes out."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from dlagent.adapters.store import FolderStore
from dlagent.build.progress import STAGES
from dlagent.build.runtime import Session
from dlagent.domain.artifact.selfcheck import compare, golden_input
from dlagent.domain.artifact.summary import parse_summary
from tests.unit.build.refused import assert_refused

Make = Callable[..., ModelProto]
ROW = np.array([[1, 2, 3, 4]], np.float32)


def tensors(found: Any) -> list[tuple[str, str, list[int]]]:
    return [(t.name, str(t.data_type), t.shape) for t in found]


def test_a_plain_model_is_published_as_it_is(workshop: Any, double: Make) -> None:
    workshop.put(double())

    summary = workshop.build()

    assert ("Published", None, "ONNXRuntime") == (summary.outcome, summary.reason, summary.engine)
    assert [s for s in STAGES if s != "data"] == list(dict.fromkeys(workshop.stages))
    assert summary.interface.batched
    assert [("x", "FP32", [4])] == tensors(summary.interface.inputs)
    assert [("y", "FP32", [4])] == tensors(summary.interface.outputs)
    assert [1, 2, 4, 8, 16, 32] == [point.batch for point in summary.tau]
    answer = Session(workshop.model_bytes(summary.key)).run({"x": ROW})
    assert [[2, 4, 6, 8]] == answer["y"].tolist()
    report = workshop.store_root / f"artifacts/{summary.key}/report.json"
    assert summary.source_sha256 == json.loads(report.read_text())["source"]["sha256"]


def test_times_of_a_simulated_accelerator_are_told_as_such(workshop: Any, double: Make) -> None:
    workshop.put(double())
    speed = {"baseMilliseconds": 1, "perItemMilliseconds": 0.0625}
    target = {"tritonVersion": "24.10", "accelerator": "simulated", "simulated": speed}

    summary = workshop.build(target=target)

    times = {point.batch: point.milliseconds for point in summary.tau}
    assert [1, 2, 4, 8, 16, 32] == list(times)
    assert all(times[batch] >= 1 + 0.0625 * batch for batch in times)
    said = "simulated, 1 ms + 0.0625 ms a request"
    assert said in summary.message
    artifact = workshop.store_root / f"artifacts/{summary.key}"
    assert said == json.loads((artifact / "report.json").read_text())["tauMeasuredOn"]
    assert "simulated_base_milliseconds" in (artifact / "model/config.pbtxt").read_text()


def test_the_golden_output_is_that_of_the_published_model(workshop: Any, double: Make) -> None:
    workshop.put(double())
    summary = parse_summary(workshop.build().to_message())

    assert summary is not None
    assert summary.self_check is not None
    check = summary.self_check
    session = Session(workshop.model_bytes(summary.key))
    feed = {t.name: golden_input(check.seed, t) for t in check.inputs}
    assert compare(check, session.run(feed)) is None
    assert "value 0" in str(compare(check, {"y": np.add(session.run(feed)["y"], np.float32(0.1))}))


def test_perceive_and_act_are_part_of_the_model(workshop: Any, double: Make) -> None:
    workshop.put(double())

    summary = workshop.build(
        inputs=[{"name": "raw", "dataType": "UINT8", "shape": [2, 2]}],
        perceive=[{"scale": {"multiply": "0.5"}}, {"reshape": {"shape": [4]}}],
        act=[{"topK": {"k": 2}}],
    )

    assert "Published" == summary.outcome, summary.message
    assert [("raw", "UINT8", [2, 2])] == tensors(summary.interface.inputs)
    assert [("values", "FP32", [2]), ("indices", "INT64", [2])] == tensors(
        summary.interface.outputs
    )
    raw = np.array([[[1, 2], [9, 4]]], np.uint8)
    answer = Session(workshop.model_bytes(summary.key)).run({"raw": raw})
    assert ([[9, 4]], [[2, 3]]) == (answer["values"].tolist(), answer["indices"].tolist())


def test_names_of_the_network_cannot_collide_with_those_around_it(
    workshop: Any, double: Make
) -> None:
    """`two` is a weight of the network, `y` its output; the raw input takes both names' place."""
    workshop.put(double())

    summary = workshop.build(
        inputs=[{"name": "two", "dataType": "FP32", "shape": [4]}],
        perceive=[{"scale": {"multiply": 3}}],
        act=[{"softmax": {}}],
    )

    assert "Published" == summary.outcome, summary.message
    answer = Session(workshop.model_bytes(summary.key)).run({"two": ROW})
    assert [("probabilities", (1, 4))] == [(name, value.shape) for name, value in answer.items()]


def test_a_model_without_a_batch_axis_is_served_whole(workshop: Any, double: Make) -> None:
    workshop.put(double([1, 4]))

    summary = workshop.build(act=[{"argmax": {}}])

    assert not summary.interface.batched
    assert [("x", "FP32", [1, 4])] == tensors(summary.interface.inputs)
    assert [("index", "INT64", [1, 1])] == tensors(summary.interface.outputs)
    assert [1] == [point.batch for point in summary.tau]
    config = workshop.store_root / f"artifacts/{summary.key}/model/config.pbtxt"
    assert "dynamic_batching" not in config.read_text()


def test_an_output_that_does_not_follow_the_batch_means_no_batches(
    workshop: Any, make_model: Make
) -> None:
    mean = helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)
    workshop.put(make_model([mean], {"x": ["n", 4]}, {"y": []}))

    summary = workshop.build()

    assert "Published" == summary.outcome, summary.message
    assert not summary.interface.batched
    assert [("x", "FP32", [-1, 4])] == tensors(summary.interface.inputs)
    assert [("y", "FP32", [1])] == tensors(summary.interface.outputs)


@pytest.mark.parametrize(
    ("node", "why"),
    [
        pytest.param(
            helper.make_node("Softmax", ["x"], ["y"], axis=0),
            "depends on the others in its batch",
            id="a softmax over the first axis",
        ),
        pytest.param(
            helper.make_node("CumSum", ["x", "zero"], ["y"]),
            "depends on the others in its batch",
            id="a sum along the first axis",
        ),
        pytest.param(
            helper.make_node("MatMul", ["x", "square"], ["y"]), None, id="each example by itself"
        ),
        pytest.param(
            helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0]),
            "does not follow the first axis",
            id="the first axis becomes another",
        ),
    ],
)
def test_a_free_axis_that_is_not_the_batch_is_part_of_a_request(
    workshop: Any, make_model: Make, node: Any, why: str | None
) -> None:
    free = ["n", "m"] if node.op_type == "Transpose" else ["n", 4]
    model = make_model(
        [node], {"x": ["n", 4]}, {"y": free}, {"zero": np.zeros(()), "square": np.ones((4, 4))}
    )
    for tensor in model.graph.initializer:
        if tensor.name == "zero":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros((), np.int64), "zero"))
    workshop.put(model)

    summary = workshop.build()

    assert "Published" == summary.outcome, summary.message
    assert (why is None) is summary.interface.batched
    expected = [4] if why is None else [-1, 4]
    assert [("x", "FP32", expected)] == tensors(summary.interface.inputs)
    report = workshop.store_root / f"artifacts/{summary.key}/report.json"
    said = json.loads(report.read_text()).get("notBatchedBecause")
    assert said is None if why is None else why in said


def test_free_axes_of_sizes_that_were_not_tried_are_named(workshop: Any, make_model: Make) -> None:
    reshape = helper.make_node("Reshape", ["x", "shape"], ["y"])
    model = make_model([reshape], {"x": ["n", "length"]}, {"y": ["n", 7, 11]}, {"shape": [0]})
    shape = np.array([0, 7, 11], np.int64)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(shape, "shape"))
    workshop.put(model)

    why = "free axes of its inputs x were given the sizes 16, 64, 224: .* export it with fixed"
    assert_refused(workshop, workshop.build(), "InvalidModel", why, "load")


def test_one_value_an_example_is_served_as_an_axis_of_one(workshop: Any, double: Make) -> None:
    workshop.put(double(["batch"]))

    summary = workshop.build()

    assert "Published" == summary.outcome, summary.message
    assert [("x", "FP32", [1])] == tensors(summary.interface.inputs)
    assert [("y", "FP32", [1])] == tensors(summary.interface.outputs)
    answer = Session(workshop.model_bytes(summary.key)).run({"x": np.array([[3]], np.float32)})
    assert [[6]] == answer["y"].tolist()


def test_several_inputs_and_free_axes(workshop: Any, make_model: Make) -> None:
    model = make_model(
        [helper.make_node("Add", ["a", "b"], ["sum"])],
        {"a": ["n", "length"], "b": ["n", "length"]},
        {"sum": ["n", "length"]},
    )
    workshop.put(model)

    summary = workshop.build(
        inputs=[
            {"name": "b", "dataType": "FP32", "shape": [-1]},
            {"name": "a", "dataType": "FP32", "shape": [-1]},
        ]
    )

    assert "Published" == summary.outcome, summary.message
    assert [("a", "FP32", [-1]), ("b", "FP32", [-1])] == tensors(summary.interface.inputs)
    assert [[1, 16], [1, 16]] == [t.shape for t in summary.self_check.inputs]


def test_the_same_inputs_give_the_same_bytes(workshop: Any, double: Make, tmp_path: Path) -> None:
    workshop.put(double())
    steps = {"perceive": [{"scale": {"multiply": "0.5"}}], "act": [{"softmax": {}}]}

    first = workshop.build(**steps)
    data = workshop.model_bytes(first.key)
    second = workshop.build(store=FolderStore(tmp_path / "other"), **steps)

    assert first.key == second.key
    other = tmp_path / f"other/artifacts/{second.key}/model/1/model.onnx"
    assert data == other.read_bytes()


def test_a_known_key_is_verified_and_not_built_again(workshop: Any, double: Make) -> None:
    workshop.put(double())
    first = workshop.build()

    second = workshop.build()

    assert "Cached" == second.outcome
    assert ["fetch"] == workshop.stages
    assert first.self_check == second.self_check
    assert first.tau == second.tau


def test_a_known_artifact_is_young_again_so_that_no_sweep_takes_it(
    workshop: Any, double: Make
) -> None:
    workshop.put(double())
    artifact = workshop.store_root / f"artifacts/{workshop.build().key}"
    os.utime(artifact, (1e9, 1e9))

    assert "Cached" == workshop.build().outcome

    assert artifact.stat().st_mtime > 1e9


def test_a_damaged_artifact_is_built_again(workshop: Any, double: Make) -> None:
    workshop.put(double())
    first = workshop.build()
    file = workshop.store_root / f"artifacts/{first.key}/model/1/model.onnx"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    second = workshop.build()

    assert ("Published", first.key) == (second.outcome, second.key)
    assert good == workshop.model_bytes(second.key)
    assert [] == list((workshop.store_root / "staging").iterdir())
