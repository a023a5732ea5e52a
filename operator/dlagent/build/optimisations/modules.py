"""An ExportedProgram as a network that can be pruned and trained, and back.

A program is a graph of calls on tensors; pruning and training want layers that own their weights
and know whether they are being trained. `trainable` turns the calls that have weights (and
dropout) into torch's modules; all other calls stay as they are. `program_of` exports the network
again with the interface that its program had. Called by the optimisations that train.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.trained import Port
from dlagent.build.runtime import first_line

aten = torch.ops.aten

Arguments = dict[str, Any]  # of a call, by the names of its schema; tensors are nodes

_CONVOLUTIONS: dict[Any, Callable[..., nn.Module]] = {
    aten.conv1d.default: nn.Conv1d,
    aten.conv1d.padding: nn.Conv1d,
    aten.conv2d.default: nn.Conv2d,
    aten.conv2d.padding: nn.Conv2d,
    aten.conv3d.default: nn.Conv3d,
    aten.conv3d.padding: nn.Conv3d,
}
_BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
_TOLERANCE = 1e-4  # of the largest value: float32 summed in another order stays far below


def trainable(program: ExportedProgram, examples: Sequence[Tensor]) -> fx.GraphModule:
    """The program as layers, in evaluation mode, with outputs equal to the program's.

    `examples` are its inputs in order, of a few examples; the outputs are compared on them.

    Raises:
        OptimisationError: it was exported in training mode, or it cannot be taken apart.
    """
    try:
        whole = program.module(check_guards=False)
        expected = outputs_of(whole, examples)
        network = _in_layers(whole)
        found = outputs_of(network, examples)
    except OptimisationError:
        raise
    except Exception as error:  # torch raises whatever the graph provokes
        raise OptimisationError(
            f"the program cannot be taken apart into layers ({first_line(error)})"
        ) from error
    if not all(map(_as_good_as, found, expected)):
        raise OptimisationError(
            "the program's layers do not answer what the program answers; it changes tensors in"
            " place in a way that cannot be taken apart"
        )
    return network


def _in_layers(whole: fx.GraphModule) -> fx.GraphModule:
    layers = _Layers(whole)
    for node in list(whole.graph.nodes):
        layers.replace(node)
    whole.graph.eliminate_dead_code()
    network = fx.GraphModule(whole, whole.graph)  # holds only what the graph uses
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return network.eval()


def _as_good_as(found: Tensor, wanted: Tensor) -> bool:
    scale = max(float(wanted.abs().max()), 1.0) if wanted.numel() else 1.0
    return torch.allclose(found, wanted, rtol=0, atol=_TOLERANCE * scale)


def outputs_of(network: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs in order, without gradients."""
    with torch.no_grad():
        return flat(network(*inputs))


def flat(outputs: Any) -> list[Tensor]:
    """A network's outputs, however they are nested, in order."""
    leaves: list[Tensor] = torch.utils._pytree.tree_flatten(outputs)[0]
    return leaves


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def program_of(
    network: fx.GraphModule, like: ExportedProgram, examples: Sequence[Tensor]
) -> ExportedProgram:
    """The network as a program with the inputs, free axes and outputs of `like`.

    `examples` are inputs of two or more examples.

    Raises:
        OptimisationError: torch cannot export it, or an output has another shape.
    """
    network.eval()
    try:
        program = torch.export.export(
            network, tuple(examples), dynamic_shapes=_free_axes(like), strict=False
        )
    except Exception as error:  # torch raises whatever the graph provokes
        raise OptimisationError(
            f"torch cannot export the trained network ({first_line(error)})"
        ) from error
    if outputs(program) != outputs(like):
        raise OptimisationError("the trained network's outputs have other shapes than before")
    return program


def batch_is_free(program: ExportedProgram) -> bool:
    """Whether the first axis of every input is one free size: training needs that."""
    shapes = [_sizes(v) for v in _values(program, program.graph_signature.user_inputs)]
    first = {str(shape[0]) if shape and not isinstance(shape[0], int) else "" for shape in shapes}
    return len(first) == 1 and "" not in first


def _free_axes(program: ExportedProgram) -> tuple[dict[int, Any], ...]:
    """For each input its free axes; one symbol is one Dim wherever it occurs."""
    limits = {str(symbol): bounds for symbol, bounds in program.range_constraints.items()}
    dims: dict[str, Any] = {}

    def dim(symbol: str) -> Any:
        if symbol not in limits:
            return Dim.AUTO  # an expression such as 2*s0: torch finds it again
        if symbol not in dims:
            low, high = int(limits[symbol].lower), limits[symbol].upper
            top = int(high) if high.is_finite and high < 2**31 else None
            dims[symbol] = Dim(f"axis_{len(dims)}", min=low, max=top)
        return dims[symbol]

    return tuple(
        {
            axis: dim(str(size))
            for axis, size in enumerate(_sizes(value))
            if not isinstance(size, int)
        }
        for value in _values(program, program.graph_signature.user_inputs)
    )


def inputs(program: ExportedProgram) -> list[Port]:
    return [_port(value) for value in _values(program, program.graph_signature.user_inputs)]


def outputs(program: ExportedProgram) -> list[Port]:
    return [_port(value) for value in _values(program, program.graph_signature.user_outputs)]


def _port(value: Tensor) -> Port:
    shape = tuple(size if isinstance(size, int) else None for size in _sizes(value))
    return Port(str(value.dtype).removeprefix("torch."), shape)


def _sizes(value: Tensor) -> tuple[int | torch.SymInt, ...]:
    """The shape of what a program's node stands for; a free axis is a SymInt."""
    return tuple(value.shape)


def _values(program: ExportedProgram, names: Sequence[Any]) -> list[Tensor]:
    nodes = {node.name: node for node in program.graph.nodes}
    return [nodes[name].meta["val"] for name in names]


class _Layers:
    """Replaces calls by modules; a call with the same weights and options is the same module."""

    def __init__(self, network: fx.GraphModule) -> None:
        self._network = network
        self._known: dict[str, str] = {}
        self._thawed: dict[str, nn.Parameter] = {}
        self._makers: dict[Any, Callable[[fx.Node, Arguments], nn.Module]] = {
            **dict.fromkeys(_CONVOLUTIONS, self._convolution),
            aten.linear.default: self._linear,
            aten.batch_norm.default: self._batch_norm,
            aten.layer_norm.default: self._layer_norm,
            aten.group_norm.default: self._group_norm,
            aten.embedding.default: self._embedding,
        }

    def replace(self, node: fx.Node) -> None:
        if node.op == "call_module" and node.target == "_guards_fn":
            node.graph.erase_node(node)  # checks of sizes, which the caller keeps
        elif node.target in (aten.dropout.default, aten.dropout_.default):
            _refuse_training(arguments_of(node)["train"])
            self._call(node, nn.Dropout(arguments_of(node)["p"]), "input", f"dropout {node.name}")
        elif node.target is aten.view.default:
            # A view needs a tensor that lies in memory in the order of its axes: training with
            # channels last does not keep that.
            node.target = aten.reshape.default
            node.args = (node.args[0], _size_left_open(node.args[1]))
        elif node.target is aten.reshape.default:
            node.args = (node.args[0], _size_left_open(node.args[1]))
        elif node.target in self._makers:
            arguments = arguments_of(node)
            data = "indices" if node.target is aten.embedding.default else "input"
            weights = [v for k, v in arguments.items() if isinstance(v, fx.Node) and k != data]
            if weights and all(weight.op == "get_attr" for weight in weights):
                key = f"{node.target} {[(k, v) for k, v in arguments.items() if k != data]}"
                module = None if key in self._known else self._makers[node.target](node, arguments)
                self._call(node, module, data, key)

    def _call(self, node: fx.Node, module: nn.Module | None, data: str, key: str) -> None:
        if module is not None:
            self._known[key] = f"layer_{len(self._known)}"
            self._network.add_submodule(self._known[key], module)
        with node.graph.inserting_before(node):
            call = node.graph.call_module(self._known[key], (arguments_of(node)[data],))
        call.meta = dict(node.meta)
        node.replace_all_uses_with(call)
        node.graph.erase_node(node)

    def _tensor(self, node: fx.Node) -> Tensor:
        return attribute(self._network, str(node.target))

    def _own(self, module: nn.Module, **weights: fx.Node | None) -> nn.Module:
        """The program's own tensors in the module, so that one used twice stays one."""
        for name, node in weights.items():
            if node is not None:
                value = self._tensor(node)
                if name in module._parameters and not isinstance(value, nn.Parameter):
                    # Weights that were frozen into constants learn like others.
                    value = self._thawed.setdefault(str(node.target), nn.Parameter(value))
                setattr(module, name, value)
        return module

    def _convolution(self, node: fx.Node, a: Arguments) -> nn.Module:
        weight = self._tensor(a["weight"])
        module = _CONVOLUTIONS[node.target](
            weight.shape[1] * a["groups"],
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=tuple(a["stride"]),
            padding=a["padding"] if isinstance(a["padding"], str) else tuple(a["padding"]),
            dilation=tuple(a["dilation"]),
            groups=a["groups"],
            bias=a["bias"] is not None,
        )
        return self._own(module, weight=a["weight"], bias=a["bias"])

    def _linear(self, _: fx.Node, a: Arguments) -> nn.Module:
        outputs, inputs = self._tensor(a["weight"]).shape
        module = nn.Linear(inputs, outputs, bias=a["bias"] is not None)
        return self._own(module, weight=a["weight"], bias=a["bias"])

    def _batch_norm(self, _: fx.Node, a: Arguments) -> nn.Module:
        _refuse_training(a["training"])
        module = _BATCH_NORMS[a["input"].meta["val"].ndim](
            self._tensor(a["running_mean"]).shape[0],
            eps=a["eps"],
            momentum=a["momentum"],
            affine=a["weight"] is not None,
        )
        own = ("weight", "bias", "running_mean", "running_var")
        return self._own(module, **{name: a[name] for name in own})

    def _layer_norm(self, _: fx.Node, a: Arguments) -> nn.Module:
        module = nn.LayerNorm(a["normalized_shape"], eps=a["eps"], bias=a["bias"] is not None)
        return self._own(module, weight=a["weight"], bias=a["bias"])

    def _group_norm(self, _: fx.Node, a: Arguments) -> nn.Module:
        channels = self._tensor(a["weight"]).shape[0]
        module = nn.GroupNorm(a["num_groups"], channels, eps=a["eps"])
        return self._own(module, weight=a["weight"], bias=a["bias"])

    def _embedding(self, _: fx.Node, a: Arguments) -> nn.Module:
        count, width = self._tensor(a["weight"]).shape
        padding = a["padding_idx"] if a["padding_idx"] >= 0 else None
        return self._own(nn.Embedding(count, width, padding_idx=padding), weight=a["weight"])


def attribute(network: fx.GraphModule, target: str) -> Tensor:
    """The parameter or buffer that a get_attr node names."""
    found: Any = network
    for part in target.split("."):
        found = getattr(found, part)
    value: Tensor = found
    return value


def arguments_of(node: fx.Node) -> Arguments:
    """The arguments of a call by name, defaults included, as its operator's schema has them."""
    schema = node.target._schema  # type: ignore[union-attr]  # an OpOverload
    given = dict(zip((argument.name for argument in schema.arguments), node.args, strict=False))
    defaults = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    return {**defaults, **given, **node.kwargs}


def _refuse_training(training: bool) -> None:
    if training:
        raise OptimisationError("the program was exported in training mode; call eval() before")


def _size_left_open(sizes: Any) -> list[Any]:
    """Sizes of a reshape with the only fixed one open, so that it may shrink: [batch, -1]."""
    fixed = [place for place, size in enumerate(sizes) if isinstance(size, int)]
    if len(fixed) != 1 or len(sizes) == 1:
        return list(sizes)
    return [-1 if place == fixed[0] else size for place, size in enumerate(sizes)]
