"""The configurations of an ensemble: what goes where, and who gathers requests."""

from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]  # ships no types

from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import Configs, render
from dlagent.domain.artifact.interface import ModelInterface, NetworkTensors
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import (
    ServingPlan,
    render_config,
    simulated_of,
    warm_up_requests,
)

PLAN = ServingPlan(8, 500, 2)


def tensor(name: str, type_: str = "FP32", *shape: int) -> Tensor:
    return Tensor(name=name, data_type=DataType(type_), shape=list(shape))


SENT, TAKEN = tensor("picture", "UINT8", 4), tensor("x", "FP32", 4)
GIVEN, ANSWERED = tensor("y", "FP32", 4), tensor("name", "BYTES", 1)


def interface(front: bool = True, back: bool = True) -> ModelInterface:
    return ModelInterface(
        inputs=[SENT] if front else [TAKEN],
        outputs=[ANSWERED] if back else [GIVEN],
        batched=True,
        network=NetworkTensors(
            inputs=[TAKEN] if front else None, outputs=[GIVEN] if back else None
        ),
    )


def parsed(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def members(configs: Configs) -> dict[str, Any]:
    return {name: parsed(text) for name, text in configs.members.items()}


def wiring(configs: Configs) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    return [
        (step.model_name, dict(step.input_map), dict(step.output_map))
        for step in parsed(configs.model).ensemble_scheduling.step
    ]


def test_without_python_steps_there_is_one_model_as_ever() -> None:
    plain = ModelInterface(inputs=[TAKEN], outputs=[GIVEN], batched=True)

    assert Configs(render_config(plain, PLAN, Engine.ONNX_RUNTIME)) == render(
        plain, PLAN, Engine.ONNX_RUNTIME
    )


@pytest.mark.parametrize(
    ("front", "back", "expected"),
    [
        pytest.param(
            True,
            True,
            [
                ("perceive_", {"picture": "picture"}, {"x": "perceive_.x"}),
                ("decide_", {"x": "perceive_.x"}, {"y": "decide_.y"}),
                ("act_", {"y": "decide_.y"}, {"name": "name"}),
            ],
            id="a script at both ends",
        ),
        pytest.param(
            True,
            False,
            [
                ("perceive_", {"picture": "picture"}, {"x": "perceive_.x"}),
                ("decide_", {"x": "perceive_.x"}, {"y": "y"}),
            ],
            id="a script in front",
        ),
        pytest.param(
            False,
            True,
            [
                ("decide_", {"x": "x"}, {"y": "decide_.y"}),
                ("act_", {"y": "decide_.y"}, {"name": "name"}),
            ],
            id="a script behind",
        ),
    ],
)
def test_each_member_gets_what_the_one_before_made(
    front: bool, back: bool, expected: list[tuple[str, dict[str, str], dict[str, str]]]
) -> None:
    configs = render(interface(front, back), PLAN, Engine.ONNX_RUNTIME)

    assert expected == wiring(configs)
    assert [name for name, _, _ in expected] == list(configs.members)
    whole = parsed(configs.model)
    assert ("ensemble", 8) == (whole.platform, whole.max_batch_size)
    assert [t.name for t in interface(front, back).inputs] == [t.name for t in whole.input]
    assert [t.name for t in interface(front, back).outputs] == [t.name for t in whole.output]


def test_requests_are_gathered_by_the_members_and_wait_before_the_first_alone() -> None:
    found = members(render(interface(), PLAN, Engine.ONNX_RUNTIME))

    delays = {n: c.dynamic_batching.max_queue_delay_microseconds for n, c in found.items()}
    assert {"perceive_": 500, "decide_": 0, "act_": 0} == delays
    assert {"python", "onnxruntime"} == {config.backend for config in found.values()}
    for config in found.values():
        assert config.HasField("dynamic_batching")
        assert (8, 2) == (config.max_batch_size, config.instance_group[0].count)


def test_a_measured_ensemble_gathers_nothing() -> None:
    configs = render(interface(), ServingPlan(8, 0, 1, gathers=False), Engine.ONNX_RUNTIME)

    assert not any(c.HasField("dynamic_batching") for c in members(configs).values())


def test_only_the_network_is_warmed_up_and_the_agent_counts_none_of_it() -> None:
    found = members(render(interface(), PLAN, Engine.ONNX_RUNTIME))

    assert {"perceive_": 0, "decide_": 2, "act_": 0} == {
        name: len(config.model_warmup) for name, config in found.items()
    }
    assert 0 == warm_up_requests(interface(), PLAN)


def test_an_accelerator_is_the_networks() -> None:
    plan = ServingPlan(8, 0, 1, accelerated=True)

    found = members(render(interface(), plan, Engine.ONNX_RUNTIME))

    gpu = model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert ["decide_"] == [n for n, c in found.items() if c.instance_group[0].kind == gpu]


def test_a_simulated_accelerator_is_the_networks_and_the_agent_tells_of_it() -> None:
    simulated = Simulated(base_milliseconds=40, per_item_milliseconds=20)

    configs = render(interface(), PLAN, Engine.ONNX_RUNTIME, simulated)

    found = members(configs)
    assert ["decide_"] == [
        n for n, c in found.items() if "simulated_base_milliseconds" in c.parameters
    ]
    told = {
        name: {"string_value": value.string_value}
        for name, value in parsed(configs.model).parameters.items()
    }
    assert simulated == simulated_of({"parameters": told})


def test_a_cache_is_the_agents() -> None:
    plan = ServingPlan(8, 0, 1, response_cache=True)

    configs = render(interface(), plan, Engine.ONNX_RUNTIME)

    assert parsed(configs.model).response_cache.enable
    assert not any(config.response_cache.enable for config in members(configs).values())


def test_latencies_are_counted_of_the_agent() -> None:
    plan = ServingPlan(8, 0, 1, histogram_milliseconds=(500.0,))

    configs = render(interface(), plan, Engine.ONNX_RUNTIME)

    assert parsed(configs.model).HasField("model_metrics")
    assert not any(config.HasField("model_metrics") for config in members(configs).values())
