"""Steps on the real Triton: text in answers, several inputs and outputs, batches of both.

The agents are built by the builder and loaded by the loader, as in the cluster.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tritonclient import http  # type: ignore[import-untyped]  # ships no types
from typer.testing import CliRunner

from dlagent.adapters.inference import TritonInference
from dlagent.adapters.store import FolderStore
from dlagent.api.types import Serving, Slo
from dlagent.build.pipeline import build
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.cli.infer import app as infer
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import Summary
from dlagent.domain.artifact.triton_config import render_config, serving_plan
from dlagent.load.__main__ import main as load
from dlagent_local import standalone
from harness import eventually

Json = dict[str, Any]
LABELS = ["red", "grün", "青"]
WIDTH = 3
COLOURS: Json = {
    "inputs": [{"name": "image", "dataType": "UINT8", "shape": [-1, -1, 3]}],
    "perceive": [
        {"resize": {"height": 4, "width": 4, "layout": "HWC"}},
        {"scale": {"multiply": "0.00392156862745098"}},
        {"transpose": {"axes": [2, 0, 1]}},
    ],
    "act": [{"softmax": {}}, {"topK": {"k": 2}}, {"labels": {"values": LABELS}}],
}
SENTENCES: Json = {
    "inputs": [
        {"name": "input_ids", "dataType": "INT32", "shape": [-1]},
        {"name": "attention_mask", "dataType": "BOOL", "shape": [-1]},
    ],
    "perceive": [
        {"cast": {"dataType": "INT64"}, "input": "input_ids"},
        {"cast": {"dataType": "INT64"}, "input": "attention_mask"},
    ],
    "act": [
        {"meanPooling": {"mask": "attention_mask"}, "output": "tokens"},
        {"l2Normalize": {}},
    ],
}


def colours() -> ModelProto:
    """The mean of each of three channels of a picture, as logits."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["pixels", "axes"], ["logits"], keepdims=0)],
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.asarray([2, 3], np.int64), "axes")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def sentences() -> ModelProto:
    """Token vectors from a table; which tokens count comes back as it went in."""
    table = np.asarray([[0, 0, 0], [1, 2, 2], [3, 0, 4]], np.float32)
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"])
        for name in ("input_ids", "attention_mask")
    )
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["tokens"]),
            helper.make_node("Identity", ["attention_mask"], ["counted"]),
        ],
        "sentences",
        [ids, mask],
        [
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", "t", WIDTH]),
            helper.make_tensor_value_info("counted", TensorProto.INT64, ["n", "t"]),
        ],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def built(root: Path, name: str, model: ModelProto, fields: Json) -> Summary:
    """Built, and loaded as the init container does it."""
    claim = root / "sources" / "models"
    claim.mkdir(parents=True, exist_ok=True)
    (claim / f"{name}.onnx").write_bytes(model.SerializeToString())
    request = BuildRequest.model_validate(
        {
            "sourceUri": f"pvc://models/{name}.onnx",
            "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
            "maxSourceBytes": 10**8,
            **fields,
        }
    )
    store = FolderStore(root / "store")
    summary = build(request, Places(root / "sources", store, root), Progress(lambda *_: None))
    assert summary.key is not None, summary.message
    assert summary.interface is not None
    slo = Slo.model_validate({"latency": {"thresholdMilliseconds": 500}})
    # Long enough that requests sent together share a batch.
    serving = Serving(batch_delay_microseconds=100_000)
    plan = serving_plan(summary.tau, serving, slo, summary.interface)
    config = render_config(summary.interface, plan, Engine(str(summary.engine)))
    arguments = ["--store", str(root / "store"), "--key", summary.key, "--name", name]
    arguments += ["--models", str(root / "models"), "--termination-log", str(root / "message")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLAGENT_CONFIG_PBTXT", config)
        assert 0 == load(arguments), (root / "message").read_text()
    return summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("steps")
    (root / "models").mkdir()
    return root


@pytest.fixture(scope="module")
def agents(folder: Path) -> dict[str, Summary]:
    return {
        "colours": built(folder, "colours", colours(), COLOURS),
        "sentences": built(folder, "sentences", sentences(), SENTENCES),
    }


@pytest.fixture(scope="module")
def triton(agents: dict[str, Summary], folder: Path) -> Iterator[standalone.Triton]:
    with standalone.triton(folder / "models", folder / "triton.log") as server:
        yield server


def ask(server: standalone.Triton, agent: str, feed: Json, outputs: list[str]) -> Json:
    client = http.InferenceServerClient(server.address)
    try:
        inputs = []
        for name, (data_type, value) in feed.items():
            inputs.append(http.InferInput(name, list(value.shape), data_type))
            inputs[-1].set_data_from_numpy(value)
        answer = client.infer(agent, inputs)
        return {name: answer.as_numpy(name) for name in outputs}
    finally:
        client.close()


@pytest.mark.parametrize("agent", ["colours", "sentences"])
def test_the_operator_gets_the_golden_answer(
    triton: standalone.Triton, agents: dict[str, Summary], agent: str
) -> None:
    check = agents[agent].self_check
    assert check is not None

    told = asyncio.run(TritonInference(triton.http_port).self_check("127.0.0.1", agent, check))

    assert told is None


def test_a_label_that_the_golden_answer_does_not_have_is_told(
    triton: standalone.Triton, agents: dict[str, Summary]
) -> None:
    check = agents["colours"].self_check
    assert check is not None
    values, labels = check.outputs
    other = labels.model_copy(update={"head": ["gelb", *labels.head[1:]]})
    wrong = check.model_copy(update={"outputs": [values, other]})

    told = asyncio.run(TritonInference(triton.http_port).self_check("127.0.0.1", "colours", wrong))

    assert told is not None
    assert told.startswith("output labels: value 0 is ")


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_pictures_of_a_batch_get_their_labels(triton: standalone.Triton, batch: int) -> None:
    pictures = np.zeros((batch, 9, 6, 3), np.uint8)
    for row in range(batch):
        pictures[row, ..., row % 3] = 255

    feed = {"image": ("UINT8", pictures)}
    answer = ask(triton, "colours", feed, ["values", "labels"])

    assert [LABELS[row % 3] for row in range(batch)] == [
        text.decode() for text in answer["labels"][:, 0]
    ]
    assert (answer["values"][:, 0] > answer["values"][:, 1]).all()


def ask_at_once(
    server: standalone.Triton, pictures: list[NDArray[np.uint8]]
) -> tuple[list[str], int]:
    """The best label of each picture, each asked by itself, and how many batches that took."""
    client = http.InferenceServerClient(server.address, concurrency=len(pictures))
    try:
        before = settled(client)
        pending = []
        for picture in pictures:
            image = http.InferInput("image", [1, *picture.shape], "UINT8")
            image.set_data_from_numpy(picture[np.newaxis])
            pending.append(client.async_infer("colours", [image]))
        answers = [request.get_result().as_numpy("labels") for request in pending]
        after = eventually(
            lambda: worked(client), lambda now: now.rows >= before.rows + len(pictures)
        )
        return [answer[0, 0].decode() for answer in answers], after.batches - before.batches
    finally:
        client.close()


def picture(side: int, channel: int) -> NDArray[np.uint8]:
    value = np.zeros((side, side, 3), np.uint8)
    value[..., channel] = 255
    return value


def test_requests_that_share_a_batch_get_their_own_labels(triton: standalone.Triton) -> None:
    labels, batches = ask_at_once(triton, [picture(5, channel) for channel in range(3)])

    assert LABELS == labels
    assert batches < 3


def test_pictures_of_two_sizes_do_not_share_a_batch(triton: standalone.Triton) -> None:
    labels, batches = ask_at_once(triton, [picture(side, 2) for side in (5, 8)])

    assert ["青"] * 2 == labels
    assert batches == 2


class Worked(NamedTuple):
    """Triton counts a batch some time after it has answered."""

    rows: int
    batches: int


def worked(client: http.InferenceServerClient) -> Worked:
    (model,) = client.get_inference_statistics("colours")["model_stats"]
    return Worked(int(model["inference_count"]), int(model["execution_count"]))


def settled(client: http.InferenceServerClient) -> Worked:
    """Once nothing that was asked before is still to be counted."""
    seen: list[Worked] = []

    def again() -> bool:
        seen.append(worked(client))
        return len(seen) > 1 and seen[-1] == seen[-2]

    eventually(again)
    return seen[-1]


def test_triton_says_that_labels_are_text(triton: standalone.Triton) -> None:
    client = http.InferenceServerClient(triton.address)
    try:
        served = client.get_model_metadata("colours")
    finally:
        client.close()

    assert [("values", "FP32", [-1, 2]), ("labels", "BYTES", [-1, 2])] == [
        (t["name"], t["datatype"], t["shape"]) for t in served["outputs"]
    ]


def test_the_command_line_shows_labels(triton: standalone.Triton, tmp_path: Path) -> None:
    np.save(tmp_path / "green.npy", picture(5, 1))
    arguments = ["colours", str(tmp_path / "green.npy"), "--url", f"http://{triton.address}"]

    result = CliRunner().invoke(infer, [*arguments, "--json"])

    assert result.exit_code == 0, result.exception
    assert "grün" == json.loads(result.stdout)["outputs"]["labels"][0][0]
    assert "grün" in CliRunner().invoke(infer, arguments).stdout


def test_two_inputs_with_steps_and_an_output_that_passes(triton: standalone.Triton) -> None:
    ids = np.asarray([[1, 2, 0], [2, 1, 1]], np.int32)
    mask = np.asarray([[True, True, False], [True, False, False]])

    answer = ask(
        triton,
        "sentences",
        {"attention_mask": ("BOOL", mask), "input_ids": ("INT32", ids)},
        ["embedding", "counted"],
    )

    pooled = np.asarray([[2, 1, 3], [3, 0, 4]])
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(answer["embedding"], expected, rtol=1e-6)
    assert [[1, 1, 0], [1, 0, 0]] == answer["counted"].tolist()
