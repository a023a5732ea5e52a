"""Stage 4: perceive in front of the network and act behind it, as one ONNX graph.

Served inputs are what a client sends: what spec.model.inputs declares where there are perceive
steps, else what the network takes. spec.model.outputs are the network's, before act; act names
what it makes: probabilities, index, values, indices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, ValueInfoProto, compose, helper

from dlagent.api.types import Tensor
from dlagent.build.failure import BuildError
from dlagent.build.network import FREE, Network, check_declared, describe, fits
from dlagent.build.onnx_source import main_opset
from dlagent.build.steps import step_of
from dlagent.build.steps.base import GraphWriter, Step
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES
from dlagent.domain.artifact.summary import FailureReason

_OLDEST_OPSET = 11
_OLDEST_IR = 4
_NETWORK_PREFIX = "decide/"


@dataclass(frozen=True)
class Fused:
    """The agent as one model, its served tensors, and its steps for the reference."""

    model: ModelProto
    interface: ModelInterface
    perceive: list[Step]
    act: list[Step]


@dataclass(frozen=True)
class _Plan:
    """What goes around the network: raw inputs, the network's outputs, the answer."""

    raw: list[Tensor]
    decided: list[Tensor]
    answer: list[Tensor]
    perceive: list[Step]
    act: list[Step]


def fuse(network: Network, request: BuildRequest) -> Fused:
    """The network with its steps.

    Raises:
        BuildError: ShapeMismatch, InvalidModel.
    """
    plan = _plan(network, request)
    interface = ModelInterface(
        inputs=[_served(tensor) for tensor in plan.raw],
        outputs=[_served(tensor) for tensor in plan.answer],
        batched=network.batched,
    )
    plain = not plan.perceive and not plan.act
    if plain and all(tensor.shape for tensor in (*plan.raw, *plan.answer)):
        return Fused(network.model, interface, [], [])
    _check_age(network.model)
    return Fused(_assemble(network, plan, interface), interface, plan.perceive, plan.act)


def _plan(network: Network, request: BuildRequest) -> _Plan:
    perceive = [step_of(spec) for spec in request.perceive]
    act = [step_of(spec) for spec in request.act]
    decided = check_declared(
        "output", request.outputs, network.outputs, "correct spec.model.outputs"
    )
    raw = (
        _raw_inputs(network, request)
        if perceive
        else check_declared("input", request.inputs, network.inputs, "correct spec.model.inputs")
    )
    answer = decided
    if act:
        if len(decided) != 1:
            raise _mismatch(f"act needs a network with one output, this has {len(decided)}")
        answer = _through(act, decided[0])
    if perceive:
        _check_perceived(_through(perceive, raw[0]), network.inputs[0], request)
    return _Plan(raw, decided, answer, perceive, act)


def _raw_inputs(network: Network, request: BuildRequest) -> list[Tensor]:
    declared = request.inputs or network.inputs
    if len(network.inputs) != 1 or len(declared) != 1:
        raise _mismatch(
            f"perceive needs a network with one input, this has {len(network.inputs)}, and the"
            f" spec declares {len(declared)}"
        )
    return declared


def _through(steps: Sequence[Step], tensor: Tensor) -> list[Tensor]:
    tensors = [tensor]
    for step in steps:
        if len(tensors) != 1:
            raise _mismatch(f"the step {step.name} cannot follow topK, which makes two tensors")
        tensors = step.outputs(tensors[0])
    return tensors


def _check_perceived(made: list[Tensor], wanted: Tensor, request: BuildRequest) -> None:
    if not fits(made[0], wanted):
        declare = "" if request.inputs else "; declare in spec.model.inputs what clients send"
        raise _mismatch(
            f"perceive makes {describe(made[0])}, the network's input {wanted.name} takes"
            f" {describe(wanted)}: add a reshape or cast step, or correct spec.model.inputs"
            f"{declare}"
        )


def _check_age(model: ModelProto) -> None:
    if main_opset(model) < _OLDEST_OPSET or model.ir_version < _OLDEST_IR:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            f"the model uses opset {main_opset(model)} and IR version {model.ir_version}; perceive"
            f" and act need at least {_OLDEST_OPSET} and {_OLDEST_IR}: convert it with"
            " onnx.version_converter",
        )


def _assemble(network: Network, plan: _Plan, interface: ModelInterface) -> ModelProto:
    """The network under a prefix, so that no name of ours can be one of its own."""
    model = compose.add_prefix(network.model, _NETWORK_PREFIX)
    before = GraphWriter("perceive", network.batched)
    after = GraphWriter("act", network.batched)
    front: list[NodeProto] = []
    for raw, wanted in zip(plan.raw, network.inputs, strict=True):
        made = _write(before, plan.perceive, raw.name, raw, squeeze=not raw.shape)
        front.append(_named(made[0], _NETWORK_PREFIX + wanted.name))
    if plan.act:
        made = _write(
            after, plan.act, _NETWORK_PREFIX + plan.decided[0].name, plan.decided[0], squeeze=False
        )
    else:
        made = [_NETWORK_PREFIX + tensor.name for tensor in plan.decided]
    back = [_answer(after, name, tensor) for name, tensor in zip(made, plan.answer, strict=True)]
    decide = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*before.nodes, *front, *decide, *after.nodes, *back])
    model.graph.initializer.extend([*before.constants, *after.constants])
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.extend(_value_info(t, network.batched) for t in interface.inputs)
    model.graph.output.extend(_value_info(t, network.batched) for t in interface.outputs)
    return model


def _write(
    graph: GraphWriter, steps: Sequence[Step], value: str, given: Tensor, squeeze: bool
) -> list[str]:
    values = [value]
    if squeeze:
        values = graph.node("Reshape", [value, graph.shape([])])
    for step in steps:
        values = step.write(graph, values[0], given)
        given = step.outputs(given)[0]
    return values


def _answer(graph: GraphWriter, value: str, tensor: Tensor) -> NodeProto:
    if tensor.shape:
        return _named(value, tensor.name)
    return helper.make_node("Reshape", [value, graph.shape([1])], [tensor.name])


def _named(value: str, name: str) -> NodeProto:
    """Joins two parts; ONNX Runtime removes it when it loads the model."""
    return helper.make_node("Identity", [value], [name], f"join/{name}")


def _served(tensor: Tensor) -> Tensor:
    """Triton has no scalars: one value an example is an axis of length 1."""
    return tensor if tensor.shape else tensor.model_copy(update={"shape": [1]})


def _value_info(tensor: Tensor, batched: bool) -> ValueInfoProto:
    axes: list[int | str] = ["batch"] if batched else []
    axes += [
        f"{tensor.name}_axis_{at}" if size == FREE else size for at, size in enumerate(tensor.shape)
    ]
    element = helper.np_dtype_to_tensor_dtype(NUMPY_TYPES[tensor.data_type])
    return helper.make_tensor_value_info(tensor.name, element, axes)


def _mismatch(message: str) -> BuildError:
    return BuildError(FailureReason.SHAPE_MISMATCH, message)
