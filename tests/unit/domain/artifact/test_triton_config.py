"""The plan follows from tau and the promise; the config is what Triton's own message says."""

from typing import Any

import pytest
from google.protobuf import json_format, text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]  # ships no types

from dlagent.api.types import DataType, Serving, Slo, Tensor
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.latency_histogram import FAMILY
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import (
    ServingPlan,
    render_config,
    serving_plan,
    simulated_of,
    warm_up_requests,
)

# tau(b) = 4 + b milliseconds
TAU = [TauPoint(batch=b, milliseconds=4 + b) for b in (1, 2, 4, 8, 16, 32)]
INTERFACE = ModelInterface(
    inputs=[Tensor(name="image", data_type=DataType.UINT8, shape=[28, 28])],
    outputs=[Tensor(name="probabilities", data_type=DataType.FP32, shape=[10])],
    batched=True,
)


def slo(milliseconds: int) -> Slo:
    return Slo.model_validate({"latency": {"thresholdMilliseconds": milliseconds}})


# Two instances of one thread are worth it, two threads of one instance are not.
SEVERAL = [
    *TAU,
    *[TauPoint(batch=b, milliseconds=4 + b, threads=2) for b in (1, 8)],
    *[TauPoint(batch=b, milliseconds=5 + b, instances=2) for b in (1, 8, 32)],
]
TWO_CORES = {"resources": {"limits": {"cpu": "2"}}}


@pytest.mark.parametrize(
    ("threshold", "serving", "batched", "expected"),
    [
        pytest.param(1000, {}, True, (32, 0, 1), id="all fit: the largest measured"),
        pytest.param(40, {}, True, (16, 0, 1), id="a request waits for one batch and for its own"),
        pytest.param(20, {}, True, (8, 0, 1), id="a shorter promise, smaller batches"),
        pytest.param(
            20, {"batchDelayMicroseconds": 6000}, True, (4, 6000, 1), id="the delay counts too"
        ),
        pytest.param(4, {}, True, (1, 0, 1), id="none fits: one at a time"),
        pytest.param(4, {"maxBatchSize": 64}, True, (64, 0, 1), id="the spec has the last word"),
        pytest.param(1000, {"instancesPerReplica": 3}, True, (32, 0, 3), id="instances as given"),
        pytest.param(1000, {"maxBatchSize": 8}, False, (0, 0, 1), id="without a batch axis: none"),
    ],
)
def test_the_plan(
    threshold: int, serving: dict[str, Any], batched: bool, expected: tuple[int, int, int]
) -> None:
    interface = INTERFACE.model_copy(update={"batched": batched})
    plan = serving_plan(TAU, Serving.model_validate(serving), slo(threshold), interface)

    assert expected == (plan.max_batch_size, plan.batch_delay_microseconds, plan.instances)


@pytest.mark.parametrize(
    ("serving", "instances"),
    [
        pytest.param({}, 1, id="a replica that was promised no CPU has one core"),
        pytest.param({"resources": {"requests": {"cpu": "2"}}}, 2, id="cores that are requested"),
        pytest.param(TWO_CORES, 2, id="cores that it may use"),
        pytest.param({"resources": {"limits": {"cpu": "1900m"}}}, 1, id="not quite two cores"),
        pytest.param({"resources": {"limits": {"cpu": "100m"}}}, 1, id="less than one core"),
        pytest.param(
            {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}},
            2,
            id="the limit counts, not the request",
        ),
        pytest.param(
            {"accelerator": {"resource": "nvidia.com/gpu"}}, 2, id="an accelerator needs no cores"
        ),
        pytest.param(TWO_CORES | {"instancesPerReplica": 1}, 1, id="the spec has the last word"),
    ],
)
def test_instances_are_for_replicas_that_have_the_cores(
    serving: dict[str, Any], instances: int
) -> None:
    plan = serving_plan(SEVERAL, Serving.model_validate(serving), slo(100), INTERFACE)

    assert (instances, 1) == (plan.instances, plan.threads)


@pytest.mark.parametrize(
    ("threshold", "noted"),
    [
        pytest.param(6, False, id="a request alone fits"),
        pytest.param(4, True, id="it does not"),
    ],
)
def test_a_promise_that_no_plan_keeps_is_said(threshold: int, noted: bool) -> None:
    note = serving_plan(TAU, Serving(), slo(threshold), INTERFACE).note

    assert noted == (note is not None)
    if note:
        assert "5.0 ms" in note
        assert "4 ms" in note


def test_nothing_measured_is_no_promise_broken() -> None:
    assert ServingPlan(1, 0, 1) == serving_plan([], Serving(), slo(1), INTERFACE)
    assert ServingPlan(1, 0, 3) == serving_plan(
        [], Serving(instances_per_replica=3), slo(1), INTERFACE
    )


def test_requests_that_are_measured_are_not_gathered() -> None:
    config = parsed(
        render_config(
            INTERFACE, ServingPlan(8, 0, 1, threads=4, gathers=False), Engine.ONNX_RUNTIME
        )
    )

    assert not config.HasField("dynamic_batching")
    assert 8 == config.max_batch_size
    assert "4" == config.parameters["intra_op_thread_count"].string_value


def test_the_config_of_a_batched_model() -> None:
    text = render_config(INTERFACE, ServingPlan(8, 500, 2), Engine.ONNX_RUNTIME)

    assert text.startswith('max_batch_size: 8\ninput {\n  name: "image"\n')
    config = parsed(text)
    assert ("", "onnxruntime") == (config.name, config.backend)
    assert (2, [28, 28]) == (config.input[0].data_type, list(config.input[0].dims))
    assert (11, [10]) == (config.output[0].data_type, list(config.output[0].dims))
    assert 500 == config.dynamic_batching.max_queue_delay_microseconds
    assert (2, "KIND_CPU") == (config.instance_group[0].count, kind(config))
    assert "1" == config.parameters["intra_op_thread_count"].string_value


def test_text_is_a_string_in_the_config() -> None:
    label = Tensor(name="label", data_type=DataType.BYTES, shape=[1])
    interface = INTERFACE.model_copy(update={"outputs": [label]})

    text = render_config(interface, ServingPlan(8, 0, 1), Engine.ONNX_RUNTIME)

    assert "data_type: TYPE_STRING" in text
    assert (13, [1]) == (parsed(text).output[0].data_type, list(parsed(text).output[0].dims))


@pytest.mark.parametrize(
    ("plan", "batching", "expected_kind"),
    [
        pytest.param(ServingPlan(0, 0, 1), False, "KIND_CPU", id="no batch axis: no batching"),
        pytest.param(ServingPlan(1, 0, 1), False, "KIND_CPU", id="batches of one need no batcher"),
        pytest.param(ServingPlan(4, 0, 1), True, "KIND_CPU", id="a delay of zero still batches"),
        pytest.param(ServingPlan(4, 0, 1, accelerated=True), True, "KIND_GPU", id="on a GPU"),
    ],
)
def test_batching_and_instances(plan: ServingPlan, batching: bool, expected_kind: str) -> None:
    config = parsed(render_config(INTERFACE, plan, Engine.ONNX_RUNTIME))

    assert batching == config.HasField("dynamic_batching")
    assert expected_kind == kind(config)


@pytest.mark.parametrize(
    ("plan", "shape", "batches", "requests"),
    [
        pytest.param(ServingPlan(8, 0, 2), [28, 28], [1, 8], 18, id="smallest and largest"),
        pytest.param(ServingPlan(1, 0, 1), [28, 28], [1], 1, id="batches of one"),
        pytest.param(ServingPlan(0, 0, 1), [28, 28], [1], 1, id="no batch axis"),
        pytest.param(ServingPlan(8, 0, 1), [-1, 28], [], 0, id="a size that nobody knows"),
        pytest.param(ServingPlan(8, 0, 1, gathers=False), [28, 28], [], 0, id="to be measured"),
    ],
)
def test_the_warm_up(
    plan: ServingPlan, shape: list[int], batches: list[int], requests: int
) -> None:
    image = Tensor(name="image", data_type=DataType.UINT8, shape=shape)
    interface = INTERFACE.model_copy(update={"inputs": [image]})
    config = parsed(render_config(interface, plan, Engine.ONNX_RUNTIME))

    assert batches == [request.batch_size for request in config.model_warmup]
    assert requests == warm_up_requests(interface, plan)
    for request in config.model_warmup:
        assert ["image"] == list(request.inputs)
        assert (2, shape, True) == (
            request.inputs["image"].data_type,
            list(request.inputs["image"].dims),
            request.inputs["image"].zero_data,
        )


@pytest.mark.parametrize("wanted", [True, False])
def test_responses_are_kept_where_the_spec_says_so(wanted: bool) -> None:
    plan = serving_plan(TAU, Serving(response_cache=wanted), slo(100), INTERFACE)
    config = parsed(render_config(INTERFACE, plan, Engine.ONNX_RUNTIME))

    assert wanted == config.response_cache.enable


def test_latencies_are_counted_up_to_the_edges_of_the_plan() -> None:
    plan = ServingPlan(8, 0, 1, histogram_milliseconds=(125.0, 500.0))

    config = parsed(render_config(INTERFACE, plan, Engine.ONNX_RUNTIME))

    (control,) = config.model_metrics.metric_control
    assert FAMILY == control.metric_identifier.family
    assert [125.0, 500.0] == list(control.histogram_options.buckets)


def test_an_older_triton_is_told_nothing_of_histograms() -> None:
    assert "metric" not in render_config(INTERFACE, ServingPlan(8, 0, 1), Engine.ONNX_RUNTIME)


def test_an_engine_is_a_plan_on_a_gpu() -> None:
    plan = ServingPlan(8, 0, 1, accelerated=True)

    config = parsed(render_config(INTERFACE, plan, Engine.TENSORRT))

    assert ("tensorrt", "model.plan") == (config.backend, config.default_model_filename)
    assert "KIND_GPU" == kind(config)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(32, 32, id="as many as the spec asks for"),
        pytest.param(128, 64, id="but no more than the engine was made for"),
    ],
)
def test_no_batch_is_larger_than_an_engine_takes(wanted: int, expected: int) -> None:
    interface = INTERFACE.model_copy(update={"max_batch": 64})
    serving = Serving(max_batch_size=wanted)

    assert expected == serving_plan(TAU, serving, slo(1000), interface).max_batch_size


def test_a_simulated_accelerator_is_computed_by_the_cpu_whatever_was_asked_for() -> None:
    plan = ServingPlan(8, 0, 1, accelerated=True)
    simulated = Simulated(base_milliseconds=40, per_item_milliseconds=0.25)

    config = parsed(render_config(INTERFACE, plan, Engine.ONNX_RUNTIME, simulated))

    assert "KIND_CPU" == kind(config)
    assert "40" == config.parameters["simulated_base_milliseconds"].string_value
    assert "0.25" == config.parameters["simulated_per_item_milliseconds"].string_value


SPEEDS = st.decimals(0, 60_000, places=3).map(float)


@settings(deadline=None)  # the machine may be busy
@given(base=SPEEDS, per_item=SPEEDS)
def test_the_config_that_triton_shows_tells_what_is_simulated(base: float, per_item: float) -> None:
    simulated = Simulated(base_milliseconds=base, per_item_milliseconds=per_item)

    config = parsed(render_config(INTERFACE, ServingPlan(8, 0, 1), Engine.ONNX_RUNTIME, simulated))

    assert simulated == simulated_of(shown(config))


def test_nothing_is_simulated_where_the_config_does_not_say_so() -> None:
    plain = parsed(render_config(INTERFACE, ServingPlan(8, 0, 1), Engine.ONNX_RUNTIME))

    assert simulated_of(shown(plain)) is None
    assert simulated_of({}) is None


def shown(config: Any) -> dict[str, Any]:
    """What Triton answers to GET /v2/models/NAME/config."""
    found: dict[str, Any] = json_format.MessageToDict(config, preserving_proto_field_name=True)
    return found


def parsed(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def kind(config: Any) -> str:
    name: str = model_config_pb2.ModelInstanceGroup.Kind.Name(config.instance_group[0].kind)
    return name
