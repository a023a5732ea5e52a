"""Python steps on the real Triton: an ensemble of the builder, loaded by the loader.

What Triton counts of an ensemble is here too, since the scaler goes by it.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from prometheus_client.parser import text_string_to_metric_families
from tritonclient import http  # type: ignore[import-untyped]  # ships no types
from tritonclient.utils import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerException,
)

from dlagent.adapters.inference import TritonInference
from dlagent.adapters.store import FolderStore
from dlagent.api.types import Serving, Slo
from dlagent.build.measure import Subject, measure
from dlagent.build.pipeline import build
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.repository import repository
from dlagent.build.runtime import Session
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import render
from dlagent.domain.artifact.request import BuildRequest, Scripts, Simulated
from dlagent.domain.artifact.summary import Summary
from dlagent.domain.artifact.triton_config import (
    ServingPlan,
    serving_plan,
    simulated_of,
    warm_up_requests,
)
from dlagent.domain.scaling.batch_counts import Worked, observed
from dlagent.domain.tuning.table import Workers, by_workers
from dlagent.load.__main__ import main as load
from dlagent.manifests.deployment import METRICS_ARGUMENTS, response_cache_arguments
from dlagent_local import standalone
from harness import eventually
from tests.integration.counted import settled_counts

Json = dict[str, Any]
Array = NDArray[Any]
FRONT = """
import numpy as np

def step(inputs):
    pairs = inputs["pairs"].astype(np.float32)
    if (pairs < 0).any():
        raise ValueError("below 0")
    return {"x": pairs.sum(axis=1)}
"""
BACK = """
import numpy as np

NAMES = np.array(["rot", "grün", "青", "gelb"], object)

def step(inputs):
    best = inputs["y"].argmax(axis=1)[:, None]
    return {"best": best, "name": NAMES[best]}
"""
LATE_MILLISECONDS = 100  # the machine may be busy
NAMES = ["rot", "grün", "青", "gelb"]
SLEEPING = FRONT.replace("def step", "import time\n\ndef step").replace(
    "    return", "    time.sleep(0.05)\n    return"
)


def python(*outputs: tuple[str, str, list[int]]) -> Json:
    described = [{"name": n, "dataType": t, "shape": s} for n, t, s in outputs]
    return {"python": {"configMapRef": {"name": "c", "key": "k"}, "outputs": described}}


REQUEST: Json = {
    "sourceUri": "pvc://models/net.onnx",
    "inputs": [{"name": "pairs", "dataType": "INT32", "shape": [2, 4]}],
    "perceive": [python(("x", "FP32", [4]))],
    "act": [python(("best", "INT64", [1]), ("name", "BYTES", [1]))],
    "scripts": {"perceive": FRONT, "act": BACK},
    "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
    "maxSourceBytes": 10**8,
}


def network() -> bytes:
    """y = x + x over rows of four values."""
    described = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy"
    ]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "double", described[:1], described[1:]
    )
    opsets = [helper.make_opsetid("", 18)]
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=9
    ).SerializeToString()
    return content


@dataclass(frozen=True)
class Served:
    """An ensemble that is served under the name `agent`."""

    summary: Summary
    plan: ServingPlan
    server: standalone.Triton
    root: Path

    def ask(self, pairs: Array) -> dict[str, Any]:
        client = http.InferenceServerClient(self.server.address)
        try:
            given = http.InferInput("pairs", list(pairs.shape), "INT32")
            given.set_data_from_numpy(pairs.astype(np.int32))
            answer = client.infer("agent", [given])
            return {name: answer.as_numpy(name) for name in ("best", "name")}
        finally:
            client.close()

    def counted(self, metric: str, model: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.server.metrics())
            for sample in family.samples
            if sample.name.removesuffix("_total") == metric and sample.labels.get("model") == model
        )


def served(root: Path, serving: Serving, *arguments: str, **changes: Any) -> Any:
    """Built, and loaded as the init container does it; a context of a Triton."""
    claim = root / "sources" / "models"
    claim.mkdir(parents=True)
    (claim / "net.onnx").write_bytes(network())
    store = FolderStore(root / "store")
    request = BuildRequest.model_validate(REQUEST | changes)
    summary = build(request, Places(root / "sources", store, root), Progress(show=lambda *_: None))
    assert summary.interface is not None, summary.message
    slo = Slo.model_validate({"latency": {"thresholdMilliseconds": 500}})
    plan = serving_plan(summary.tau, serving, slo, summary.interface)
    configs = render(summary.interface, plan, Engine(str(summary.engine)))
    (root / "models").mkdir()
    options = ["--store", str(root / "store"), "--key", str(summary.key), "--name", "agent"]
    options += ["--models", str(root / "models"), "--termination-log", str(root / "message")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLAGENT_CONFIG_PBTXT", configs.model)
        patch.setenv("DLAGENT_MEMBER_CONFIGS", json.dumps(dict(configs.members)))
        assert 0 == load(options), (root / "message").read_text()
    return (
        summary,
        plan,
        standalone.triton(root / "models", root / "log", *METRICS_ARGUMENTS, *arguments),
    )


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    serving = Serving(max_batch_size=8, batch_delay_microseconds=100_000)
    root = tmp_path_factory.mktemp("ensemble")
    summary, plan, running = served(root, serving)
    with running as server:
        yield Served(summary, plan, server, root)


def test_what_triton_counts_before_the_first_request_is_of_the_members(agent: Served) -> None:
    """Must be the first to ask this server."""
    assert agent.summary.interface is not None
    expected = warm_up_requests(agent.summary.interface, agent.plan)

    assert expected == agent.counted("nv_inference_request_success", "agent")
    assert expected == agent.counted("nv_inference_count", "agent")
    assert 2 == agent.counted("nv_inference_exec_count", "decide_")


def test_the_operator_gets_the_golden_answer(agent: Served) -> None:
    check = agent.summary.self_check
    assert check is not None

    told = asyncio.run(
        TritonInference(agent.server.http_port).self_check("127.0.0.1", "agent", check)
    )

    assert told is None


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_batch_is_answered_row_by_row(agent: Served, rows: int) -> None:
    pairs = np.zeros((rows, 2, 4))
    for row in range(rows):
        pairs[row, row % 2, row % 4] = 5

    answer = agent.ask(pairs)

    expected = [row % 4 for row in range(rows)]
    assert expected == answer["best"][:, 0].tolist()
    assert [NAMES[best] for best in expected] == [text.decode() for text in answer["name"][:, 0]]


def at_once(agent: Served, pairs: list[Array]) -> list[str]:
    """The name for each, or what was said in its place; all asked at the same time."""

    def one(value: Array) -> str:
        try:
            text: bytes = agent.ask(value[np.newaxis])["name"][0, 0]
        except InferenceServerException as error:
            return str(error.message())
        return text.decode()

    with ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(one, pairs))


def test_requests_share_batches_of_every_member(agent: Served) -> None:
    before = {m: agent.counted("nv_inference_exec_count", m) for m in ("perceive_", "decide_")}

    names = at_once(agent, [np.eye(4)[[place, place]] for place in (0, 1, 2, 3, 0, 1)])

    assert ["rot", "grün", "青", "gelb", "rot", "grün"] == names
    assert agent.counted("nv_inference_exec_count", "perceive_") - before["perceive_"] < 6


def test_a_request_that_the_script_cannot_take_spoils_no_other(agent: Served) -> None:
    good, bad = np.eye(4)[[2, 2]], np.full((2, 4), -1)

    names = at_once(agent, [good, bad, good])

    assert ["青", "青"] == [names[0], names[2]]
    assert "the python step of perceive: line 7: ValueError: below 0" in names[1]


def test_requests_failures_and_latency_are_counted_of_the_agent(agent: Served) -> None:
    names = [f"nv_inference_{kind}" for kind in ("request_success", "count", "request_failure")]
    before = [agent.counted(name, "agent") for name in names]

    for _ in range(5):
        agent.ask(np.ones((2, 2, 4)))
    with pytest.raises(InferenceServerException):
        agent.ask(np.full((1, 2, 4), -1))

    # Triton counts a request that fails in an ensemble twice; and all of them after the answer.
    eventually(
        lambda: [
            agent.counted(name, "agent") - early for name, early in zip(names, before, strict=True)
        ],
        lambda more: more == [5, 10, 2],
    )
    assert agent.counted("nv_inference_request_summary_us", "agent") > 0


def test_what_waits_is_counted_before_the_members(agent: Served) -> None:
    """So the agent's own gauge says nothing, and the operator adds those of the members."""
    gauge = "nv_inference_pending_request_count"
    enough = Event()

    def ask_on() -> None:
        while not enough.is_set():
            agent.ask(np.ones((8, 2, 4)))

    of_the_agent: list[float] = []

    def waits_before_perceive() -> bool:
        of_the_agent.append(agent.counted(gauge, "agent"))
        return agent.counted(gauge, "perceive_") > 0

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask_on) for _ in range(16)]
        try:
            eventually(waits_before_perceive)
        finally:
            enough.set()
    for each in asked:
        each.result()
    assert {0} == set(of_the_agent)


def test_batches_are_counted_of_the_members(agent: Served) -> None:
    before = settled_counts(agent.server)
    for _ in range(5):
        agent.ask(np.ones((2, 2, 4)))
    after = settled_counts(agent.server)

    seen = observed(before, after, "agent")
    assert seen is not None
    assert [2] == list(seen.by_size)
    assert 5 == seen.by_size[2].batches
    nothing = Worked(0, 0.0)
    slowest = max(
        after.models[name][2].seconds - before.models[name].get(2, nothing).seconds
        for name in ("perceive_", "decide_", "act_")
    )
    assert slowest <= seen.by_size[2].seconds < 5


def test_an_equal_request_is_answered_from_the_cache(tmp_path: Path) -> None:
    serving = Serving(max_batch_size=8, response_cache=True)
    scripts = {"perceive": SLEEPING, "act": BACK}
    summary, plan, running = served(tmp_path, serving, *response_cache_arguments(), scripts=scripts)
    with running as server:
        agent = Served(summary, plan, server, tmp_path)
        answers = [agent.ask(np.ones((1, 2, 4))) for _ in range(3)]

        assert 1 == agent.counted("nv_cache_num_misses_per_model", "agent")
        assert 2 == agent.counted("nv_cache_num_hits_per_model", "agent")
        assert 1 == len({answer["name"][0, 0] for answer in answers})


def test_the_artifact_is_a_repository_by_itself(
    tmp_path_factory: pytest.TempPathFactory, agent: Served
) -> None:
    """For whoever points Triton at it; the ensemble is called as its folder is."""
    root = agent.root / "store/artifacts" / str(agent.summary.key)
    log = tmp_path_factory.mktemp("itself") / "log"
    with standalone.triton(root, log) as server:
        client = http.InferenceServerClient(server.address)
        assert client.is_model_ready("model")
        client.close()


def test_a_simulated_accelerator_holds_the_network_and_the_agent_tells_of_it(
    tmp_path: Path, agent: Served
) -> None:
    interface = agent.summary.interface
    assert interface is not None
    simulated = Simulated(base_milliseconds=150, per_item_milliseconds=10)
    configs = render(interface, ServingPlan(8, 0, 1), Engine.ONNX_RUNTIME, simulated)
    scripts = Scripts(perceive=FRONT, act=BACK)
    for path, content in repository(network(), configs, scripts, Engine.ONNX_RUNTIME).items():
        file = tmp_path / "models" / path.replace("model/", "agent/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    with standalone.triton(tmp_path / "models", tmp_path / "log") as server:
        client = http.InferenceServerClient(server.address)
        told = client.get_model_config("agent")
        client.close()
        began = time.monotonic()
        Served(agent.summary, agent.plan, server, tmp_path).ask(np.ones((2, 2, 4)))
        taken = (time.monotonic() - began) * 1000

    assert simulated == simulated_of(told)
    assert taken >= simulated.milliseconds(2)


def test_its_time_is_the_sum_of_its_members_times(trials: Path, agent: Served) -> None:
    """A script that sleeps for 50 ms."""
    assert agent.summary.interface is not None
    scripts = Scripts(perceive=SLEEPING, act=BACK)
    interface = agent.summary.interface
    subject = Subject(network(), interface, Engine.ONNX_RUNTIME, 1, scripts)
    target = BuildRequest.model_validate(REQUEST).target

    found = measure(subject, Session(network()), target, trials)

    assert found.how.startswith("measured on Triton 2.")
    table = by_workers(found.tau)
    assert len(table[Workers(1)]) >= 3
    for point in table[Workers(1)]:
        assert 50 <= point.milliseconds <= 50 + LATE_MILLISECONDS


def test_another_script_is_measured_in_place_of_the_one_before(trials: Path, agent: Served) -> None:
    assert agent.summary.interface is not None
    interface, engine = agent.summary.interface, Engine.ONNX_RUNTIME
    subject = Subject(network(), interface, engine, 1, Scripts(perceive=FRONT, act=BACK))
    target = BuildRequest.model_validate(REQUEST).target

    found = measure(subject, Session(network()), target, trials)

    assert found.how.startswith("measured on Triton 2.")
    assert by_workers(found.tau)[Workers(1)][0].milliseconds < 50
