"""Stage 4: perceive in front of the network and act behind it, as one ONNX graph."""

from dataclasses import dataclass

from onnx import ModelProto, NodeProto, ValueInfoProto, compose, helper

from dlagent.api.types import Tensor
from dlagent.build import chain
from dlagent.build.failure import BuildError
from dlagent.build.network import FREE, Network
from dlagent.build.onnx_source import main_opset
from dlagent.build.plan import Acted, Perceived, Plan, plan
from dlagent.build.steps.base import GraphWriter
from dlagent.domain.artifact.interface import ModelInterface, served
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
    plan: Plan


def fuse(network: Network, request: BuildRequest) -> Fused:
    """The network with its steps.

    Raises:
        BuildError: ShapeMismatch, InvalidModel.
    """
    planned = plan(network, request)
    raw, answer = planned.raw(), planned.answer()
    interface = ModelInterface(
        inputs=[served(tensor) for tensor in raw],
        outputs=[served(tensor) for tensor in answer],
        batched=network.batched,
    )
    plain = not request.perceive and not request.act
    if plain and all(tensor.shape for tensor in (*raw, *answer)):
        return Fused(network.model, interface, planned)
    _check_age(network.model)
    return Fused(_assemble(network, planned, interface), interface, planned)


def _check_age(model: ModelProto) -> None:
    if main_opset(model) < _OLDEST_OPSET or model.ir_version < _OLDEST_IR:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            f"the model uses opset {main_opset(model)} and IR version {model.ir_version}; perceive"
            f" and act need at least {_OLDEST_OPSET} and {_OLDEST_IR}: convert it with"
            " onnx.version_converter",
        )


def _assemble(network: Network, planned: Plan, interface: ModelInterface) -> ModelProto:
    """The network under a prefix, so that no name of ours can be one of its own."""
    model = compose.add_prefix(network.model, _NETWORK_PREFIX)
    opset = main_opset(model)
    before = GraphWriter("perceive", network.batched, opset)
    after = GraphWriter("act", network.batched, opset)
    front = [_feed(before, input_) for input_ in planned.perceive]
    back = [node for output in planned.act for node in _answers(after, output, planned)]
    decide = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*before.nodes, *front, *decide, *after.nodes, *back])
    model.graph.initializer.extend([*before.constants, *after.constants])
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.extend(_value_info(t, network.batched) for t in interface.inputs)
    model.graph.output.extend(_value_info(t, network.batched) for t in interface.outputs)
    return model


def _feed(graph: GraphWriter, input_: Perceived) -> NodeProto:
    value = input_.raw.name
    if not input_.raw.shape:
        value = graph.node("Reshape", [value, graph.shape([])])[0]
    (made,) = chain.write(graph, input_.steps, value, input_.raw, {})
    return _named(made, _NETWORK_PREFIX + input_.wanted.name)


def _answers(graph: GraphWriter, output: Acted, planned: Plan) -> list[NodeProto]:
    taken = {
        input_.raw.name: (_NETWORK_PREFIX + input_.wanted.name, input_.wanted)
        for input_ in planned.perceive
    }
    value = _NETWORK_PREFIX + output.given.name
    made = chain.write(graph, output.steps, value, output.given, taken)
    return [_answer(graph, *pair) for pair in zip(made, output.made, strict=True)]


def _answer(graph: GraphWriter, value: str, tensor: Tensor) -> NodeProto:
    if tensor.shape:
        return _named(value, tensor.name)
    return helper.make_node("Reshape", [value, graph.shape([1])], [tensor.name])


def _named(value: str, name: str) -> NodeProto:
    """Joins two parts; ONNX Runtime removes it when it loads the model."""
    return helper.make_node("Identity", [value], [name], f"join/{name}")


def _value_info(tensor: Tensor, batched: bool) -> ValueInfoProto:
    axes: list[int | str] = ["batch"] if batched else []
    axes += [
        f"{tensor.name}_axis_{at}" if size == FREE else size for at, size in enumerate(tensor.shape)
    ]
    element = helper.np_dtype_to_tensor_dtype(NUMPY_TYPES[tensor.data_type])
    return helper.make_tensor_value_info(tensor.name, element, axes)
