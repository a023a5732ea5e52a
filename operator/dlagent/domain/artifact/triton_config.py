"""config.pbtxt: how Triton is to serve an artifact, chosen from what was measured and promised.

A pure function of (interface, tau, serving fields, SLO): a new SLO is a roll-out, never a build.
The text comes from Triton's own protobuf message, never from a template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]  # ships no types

from dlagent.api.quantity import quantity
from dlagent.api.types import DataType, Serving, Slo, Tensor
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.latency_histogram import FAMILY
from dlagent.domain.artifact.layout import NETWORK_FILES
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.tuning.choice import Wanted, choose
from dlagent.domain.tuning.table import Workers, plainest

_BACKENDS = {Engine.ONNX_RUNTIME: "onnxruntime", Engine.TENSORRT: "tensorrt"}
# What the local cluster's backend reads, and whoever asks Triton for the model's configuration.
_FREE = -1  # an axis of any size
_SIMULATED_BASE = "simulated_base_milliseconds"
_SIMULATED_PER_ITEM = "simulated_per_item_milliseconds"


@dataclass(frozen=True)
class ServingPlan:
    """How one replica serves. `max_batch_size` 0 is Triton's word for a model without batches.

    `gathers` False: each request is a batch by itself, and none comes before the first, as the
    build measures. `histogram_milliseconds` are the edges of the latency's histogram; none where
    Triton has no histograms.
    `note` says, for a person, where the promise cannot be kept by any choice.
    """

    max_batch_size: int
    batch_delay_microseconds: int
    instances: int
    threads: int = 1
    accelerated: bool = False
    gathers: bool = True
    response_cache: bool = False
    histogram_milliseconds: tuple[float, ...] = ()
    note: str | None = None

    @property
    def workers(self) -> Workers:
        return Workers(self.instances, self.threads)


def serving_plan(
    tau: Sequence[TauPoint], serving: Serving, slo: Slo, interface: ModelInterface
) -> ServingPlan:
    """What the spec says, and where it is silent, what was measured and answers the most in time.

    See dlagent.domain.tuning.choice. A replica has the cores of its CPU limit, else of its request,
    else one; with an accelerator cores do not count.
    """
    accelerated = serving.accelerator is not None
    delay = serving.batch_delay_microseconds or 0
    wanted = Wanted(
        threshold_seconds=slo.latency.threshold_milliseconds / 1000,
        objective=slo.latency.objective_ratio,
        cores=None if accelerated else _cores(serving),
        max_batch=_most_rows(serving, interface),
        instances=serving.instances_per_replica,
        delay_seconds=delay / 1e6,
    )
    choice = choose(tuple(tau), wanted)
    return ServingPlan(
        max_batch_size=choice.max_batch if interface.batched else 0,
        batch_delay_microseconds=delay if interface.batched else 0,
        instances=choice.workers.instances,
        threads=choice.workers.threads,
        accelerated=accelerated,
        response_cache=serving.response_cache,
        note=_note(tau, slo) if choice.rate == 0 else None,
    )


def _most_rows(serving: Serving, interface: ModelInterface) -> int | None:
    """What the spec asks for, as far as the engine takes it; None: as was measured."""
    if not interface.batched:
        return 1
    wanted, taken = serving.max_batch_size, interface.max_batch
    return min(wanted, taken) if wanted is not None and taken is not None else wanted


def _cores(serving: Serving) -> int:
    asked = serving.resources
    amounts = {**(asked.requests or {}), **(asked.limits or {})} if asked is not None else {}
    return max(1, int(quantity(amounts.get("cpu", "1")) or 1))


def _note(tau: Sequence[TauPoint], slo: Slo) -> str | None:
    if not tau:
        return None
    fastest = plainest(tau)[0]
    return (
        f"one batch of {fastest.batch} was measured at {fastest.milliseconds:.1f} ms: no plan"
        f" answers {slo.latency.objective_percent} % within"
        f" {slo.latency.threshold_milliseconds} ms"
    )


def render_config(
    interface: ModelInterface,
    plan: ServingPlan,
    engine: Engine,
    simulated: Simulated | None = None,
) -> str:
    """The text of config.pbtxt, without `name:`, so that the folder names the model.

    A simulated accelerator is computed by the CPU, whatever the plan says, and described by two
    parameters.
    """
    config = model_config_pb2.ModelConfig()
    config.backend = _BACKENDS[engine]
    if engine is Engine.TENSORRT:
        config.default_model_filename = NETWORK_FILES[engine]
    config.max_batch_size = plan.max_batch_size
    describe_tensors(config, interface.inputs, interface.outputs)
    gather_requests(config, plan)
    _warm_up(config, interface, plan)
    if plan.response_cache:
        config.response_cache.enable = True
    describe_histogram(config, plan)
    group = config.instance_group.add()
    group.count = plan.instances
    if plan.accelerated and simulated is None:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_GPU
    else:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        config.parameters["intra_op_thread_count"].string_value = str(plan.threads)
        config.parameters["inter_op_thread_count"].string_value = "1"
    if simulated is not None:
        describe_simulated(config, simulated)
    text: str = text_format.MessageToString(config)
    return text


def describe_tensors(
    config: "model_config_pb2.ModelConfig", inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> None:
    """Put tensors into a configuration."""
    for tensor in inputs:
        _describe(config.input.add(), tensor)
    for tensor in outputs:
        _describe(config.output.add(), tensor)


def gather_requests(config: "model_config_pb2.ModelConfig", plan: ServingPlan) -> None:
    """Have Triton make batches of requests, where the plan says so."""
    if plan.gathers and plan.max_batch_size > 1:
        # Bare: with a queue time-out, a priority or a queue size Triton stalls lone requests.
        config.dynamic_batching.SetInParent()
        config.dynamic_batching.max_queue_delay_microseconds = plan.batch_delay_microseconds


def describe_histogram(config: "model_config_pb2.ModelConfig", plan: ServingPlan) -> None:
    """Have Triton count the latencies of the model up to the plan's edges, if it has any."""
    if plan.histogram_milliseconds:
        control = config.model_metrics.metric_control.add()
        control.metric_identifier.family = FAMILY
        control.histogram_options.buckets.extend(plan.histogram_milliseconds)


def describe_simulated(config: "model_config_pb2.ModelConfig", simulated: Simulated) -> None:
    """Put a simulated accelerator into a configuration."""
    for name, value in (
        (_SIMULATED_BASE, simulated.base_milliseconds),
        (_SIMULATED_PER_ITEM, simulated.per_item_milliseconds),
    ):
        config.parameters[name].string_value = f"{value:.10g}"


def simulated_of(config: Mapping[str, Any]) -> Simulated | None:
    """The accelerator that Triton's answer to GET /v2/models/NAME/config describes, if any."""
    parameters = config.get("parameters", {})
    if not {_SIMULATED_BASE, _SIMULATED_PER_ITEM} <= parameters.keys():
        return None
    return Simulated(
        base_milliseconds=parameters[_SIMULATED_BASE]["string_value"],
        per_item_milliseconds=parameters[_SIMULATED_PER_ITEM]["string_value"],
    )


def _warm_up(
    config: "model_config_pb2.ModelConfig", interface: ModelInterface, plan: ServingPlan
) -> None:
    """A smallest and a largest batch of zeros before the first request: those sizes are slow once.

    Triton makes a batch of b rows of b requests, and counts them.
    """
    for rows in _warm_up_batches(interface, plan):
        request = config.model_warmup.add()
        request.name = f"batch of {rows}"
        request.batch_size = rows
        for tensor in interface.inputs:
            given = request.inputs[tensor.name]
            given.data_type = _data_type(tensor)
            given.dims.extend(tensor.shape)
            given.zero_data = True


def _warm_up_batches(interface: ModelInterface, plan: ServingPlan) -> list[int]:
    """None where an axis is free, or text is asked for: what such a model takes nobody has said."""
    unknown = any(
        _FREE in tensor.shape or tensor.data_type == DataType.BYTES for tensor in interface.inputs
    )
    return [] if unknown or not plan.gathers else sorted({1, max(1, plan.max_batch_size)})


def warm_up_requests(interface: ModelInterface, plan: ServingPlan) -> int:
    """How many requests Triton counts by itself before the first one of a client.

    None of an ensemble: what its members do before they are asked counts as theirs.
    """
    if interface.network is not None:
        return 0
    return plan.instances * sum(_warm_up_batches(interface, plan))


def _describe(message: "model_config_pb2.ModelInput", tensor: Tensor) -> None:
    message.name = tensor.name
    message.data_type = _data_type(tensor)
    message.dims.extend(tensor.shape)


def _data_type(tensor: Tensor) -> int:
    # The one type that config.pbtxt calls otherwise than requests do.
    name = "STRING" if tensor.data_type == DataType.BYTES else tensor.data_type
    value: int = model_config_pb2.DataType.Value(f"TYPE_{name}")
    return value
