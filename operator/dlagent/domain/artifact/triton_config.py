"""config.pbtxt: how Triton is to serve an artifact, chosen from what was measured and promised.

A pure function of (interface, tau, serving fields, SLO): a new SLO is a roll-out, never a build.
The text comes from Triton's own protobuf message, never from a template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]  # ships no types

from dlagent.api.types import DataType, Serving, Slo, Tensor
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.request import Simulated

ENGINE = "ONNXRuntime"
_BACKENDS = {ENGINE: "onnxruntime"}
# What the local cluster's backend reads, and whoever asks Triton for the model's configuration.
_SIMULATED_BASE = "simulated_base_milliseconds"
_SIMULATED_PER_ITEM = "simulated_per_item_milliseconds"


@dataclass(frozen=True)
class ServingPlan:
    """How one replica serves. `max_batch_size` 0 is Triton's word for a model without batches.

    `note` says, for a person, where the promise cannot be kept by any choice.
    """

    max_batch_size: int
    batch_delay_microseconds: int
    instances: int
    accelerated: bool = False
    note: str | None = None


def serving_plan(tau: Sequence[TauPoint], serving: Serving, slo: Slo, batched: bool) -> ServingPlan:
    """What the spec says, and where it is silent, what was measured.

    The batch size is the largest measured one of which a request survives the worst ordinary case
    within the threshold: it waits for the delay, then for a batch that is running, then for its
    own: delay + 2 tau(b) <= threshold. Where none fits, batches of one, and a note.

    The delay is 0: Triton gathers what waits while an instance is busy, so load makes batches by
    itself, and a delay would be paid by every lone request. One instance: tau was measured on one
    thread, and what more instances give depends on the cores that the pod is given.
    """
    instances = serving.instances_per_replica or 1
    accelerated = serving.accelerator is not None
    if not batched:
        return ServingPlan(0, 0, instances, accelerated, _note(tau, slo, 0))
    delay = serving.batch_delay_microseconds or 0
    size = serving.max_batch_size or _largest_batch(tau, slo, delay)
    return ServingPlan(size, delay, instances, accelerated, _note(tau, slo, delay))


def _largest_batch(tau: Sequence[TauPoint], slo: Slo, delay_microseconds: int) -> int:
    return max((p.batch for p in tau if _fits(p, slo, delay_microseconds)), default=1)


def _fits(point: TauPoint, slo: Slo, delay_microseconds: int) -> bool:
    worst = 2 * point.milliseconds + delay_microseconds / 1000
    return worst <= slo.latency.threshold_milliseconds


def _note(tau: Sequence[TauPoint], slo: Slo, delay_microseconds: int) -> str | None:
    if not tau or any(_fits(point, slo, delay_microseconds) for point in tau):
        return None
    fastest = min(tau, key=lambda point: point.batch)
    return (
        f"one batch of {fastest.batch} was measured at {fastest.milliseconds:.1f} ms: a request"
        f" that waits for another cannot be answered within {slo.latency.threshold_milliseconds} ms"
    )


def render_config(
    interface: ModelInterface, plan: ServingPlan, engine: str, simulated: Simulated | None = None
) -> str:
    """The text of config.pbtxt, without `name:`, so that the folder names the model.

    A simulated accelerator is computed by the CPU, whatever the plan says, and described by two
    parameters.
    """
    config = model_config_pb2.ModelConfig()
    config.backend = _BACKENDS[engine]
    config.max_batch_size = plan.max_batch_size
    for tensor in interface.inputs:
        _describe(config.input.add(), tensor)
    for tensor in interface.outputs:
        _describe(config.output.add(), tensor)
    if plan.max_batch_size > 1:
        # Bare: with a queue time-out, a priority or a queue size Triton stalls lone requests.
        config.dynamic_batching.SetInParent()
        config.dynamic_batching.max_queue_delay_microseconds = plan.batch_delay_microseconds
    group = config.instance_group.add()
    group.count = plan.instances
    if plan.accelerated and simulated is None:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_GPU
    else:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        # As tau was measured; more cores are used by more instances.
        config.parameters["intra_op_thread_count"].string_value = "1"
        config.parameters["inter_op_thread_count"].string_value = "1"
    if simulated is not None:
        for name, value in (
            (_SIMULATED_BASE, simulated.base_milliseconds),
            (_SIMULATED_PER_ITEM, simulated.per_item_milliseconds),
        ):
            config.parameters[name].string_value = f"{value:.10g}"
    text: str = text_format.MessageToString(config)
    return text


def simulated_of(config: Mapping[str, Any]) -> Simulated | None:
    """The accelerator that Triton's answer to GET /v2/models/NAME/config describes, if any."""
    parameters = config.get("parameters", {})
    if not {_SIMULATED_BASE, _SIMULATED_PER_ITEM} <= parameters.keys():
        return None
    return Simulated(
        base_milliseconds=parameters[_SIMULATED_BASE]["string_value"],
        per_item_milliseconds=parameters[_SIMULATED_PER_ITEM]["string_value"],
    )


def _describe(message: "model_config_pb2.ModelInput", tensor: Tensor) -> None:
    message.name = tensor.name
    # The one type that config.pbtxt calls otherwise than requests do.
    type_name = "STRING" if tensor.data_type == DataType.BYTES else tensor.data_type
    message.data_type = model_config_pb2.DataType.Value(f"TYPE_{type_name}")
    message.dims.extend(tensor.shape)
