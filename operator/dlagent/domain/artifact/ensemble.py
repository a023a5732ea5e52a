"""The configuration of all that an artifact has for Triton: one model, or an ensemble of members.

A pure function, as dlagent.domain.artifact.triton_config is. Members do the batching: an ensemble
has no queue of its own, and sends what is asked of it to the first member at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]  # ships no types

from dlagent.api.types import Tensor
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.layout import ACT, DECIDE, PERCEIVE
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import (
    ServingPlan,
    describe_histogram,
    describe_simulated,
    describe_tensors,
    gather_requests,
    render_config,
)

_NEWEST = -1  # version, of those that are there


@dataclass(frozen=True)
class Configs:
    """The text of config.pbtxt, of the agent's model and of its members by name."""

    model: str
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A member with its tensors; all but DECIDE are scripts."""

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]


def members(interface: ModelInterface) -> list[Member]:
    """The members of an ensemble in their order; none where the network is the model itself."""
    network = interface.network
    if network is None:
        return []
    taken = interface.inputs if network.inputs is None else network.inputs
    given = interface.outputs if network.outputs is None else network.outputs
    front = [Member(PERCEIVE, interface.inputs, taken)] if network.inputs is not None else []
    back = [Member(ACT, given, interface.outputs)] if network.outputs is not None else []
    return [*front, Member(DECIDE, taken, given), *back]


def render(
    interface: ModelInterface,
    plan: ServingPlan,
    engine: Engine,
    simulated: Simulated | None = None,
) -> Configs:
    """All configurations of an artifact; see `render_config`.

    Requests wait for others (batch_delay_microseconds) before the first member only: the others get
    them together.
    """
    parts = members(interface)
    if not parts:
        return Configs(render_config(interface, plan, engine, simulated))
    texts = {}
    for number, part in enumerate(parts):
        own = plan if number == 0 else replace(plan, batch_delay_microseconds=0)
        own = replace(own, response_cache=False, histogram_milliseconds=())
        if part.name == DECIDE:
            tensors = ModelInterface(
                inputs=part.inputs, outputs=part.outputs, batched=interface.batched
            )
            texts[part.name] = render_config(tensors, own, engine, simulated)
        else:
            texts[part.name] = _script(part, own)
    return Configs(_ensemble(interface, parts, plan, simulated), texts)


def _script(part: Member, plan: ServingPlan) -> str:
    """Without warm-up: nobody knows whether a script can do anything with zeros."""
    config = model_config_pb2.ModelConfig()
    config.backend = "python"
    config.max_batch_size = plan.max_batch_size
    describe_tensors(config, part.inputs, part.outputs)
    gather_requests(config, plan)
    group = config.instance_group.add()
    group.count = plan.instances
    group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
    text: str = text_format.MessageToString(config)
    return text


def _ensemble(
    interface: ModelInterface,
    parts: list[Member],
    plan: ServingPlan,
    simulated: Simulated | None,
) -> str:
    config = model_config_pb2.ModelConfig()
    config.platform = "ensemble"
    config.max_batch_size = plan.max_batch_size
    describe_tensors(config, interface.inputs, interface.outputs)
    for number, part in enumerate(parts):
        step = config.ensemble_scheduling.step.add()
        step.model_name = part.name
        step.model_version = _NEWEST
        before = "" if number == 0 else f"{parts[number - 1].name}."
        after = "" if number == len(parts) - 1 else f"{part.name}."
        for tensor in part.inputs:
            step.input_map[tensor.name] = before + tensor.name
        for tensor in part.outputs:
            step.output_map[tensor.name] = after + tensor.name
    if plan.response_cache:
        config.response_cache.enable = True
    describe_histogram(config, plan)
    if simulated is not None:
        describe_simulated(config, simulated)
    text: str = text_format.MessageToString(config)
    return text
