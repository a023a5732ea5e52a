"""Channel pruning: whole channels leave a network, with all that depends on them.

Fang et al., "DepGraph: Towards Any Structural Pruning" (2023, arXiv:2301.12900), as torch-pruning
has it: layers whose channels belong together (a residual sum, a batch norm) lose the same ones.
Called by `dlagent.build.optimisations.pruned`.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

import torch
import torch_pruning  # type: ignore[import-untyped]  # ships no types
from torch import Tensor, fx, nn

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.modules import arguments_of, attribute, outputs_of, parameter_count
from dlagent.build.runtime import first_line

aten = torch.ops.aten

# ONNX Runtime's convolutions compute blocks of 16 channels with AVX-512 and of 8 with AVX2, and
# fill up what is missing: 8 channels take as long as 16.
CHANNELS_MULTIPLE = 16

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PRUNED = (*_CONVOLUTIONS, nn.Linear)
_KEEP_CHANNELS_APART = {
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool2d",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "mean",
    "cat", "clone", "constant_pad_nd", "contiguous", "flatten", "pad", "permute", "transpose",
    "squeeze", "upsample_nearest2d", "upsample_bilinear2d",
}  # fmt: skip


def kept_channels(channels: int, percent: int) -> int:
    """How many of a layer's channels stay when `percent` of them are to go.

    The nearest multiple of CHANNELS_MULTIPLE, the larger of two that are as near, and at least one.
    """
    blocks = max(int(channels * (100 - percent) / 100 / CHANNELS_MULTIPLE + 0.5), 1)
    return min(channels, blocks * CHANNELS_MULTIPLE)


def prune(network: fx.GraphModule, examples: Sequence[Tensor], percent: int) -> None:
    """Remove the channels with the smallest weights, in place, in each layer that allows it.

    The importance of a channel is the L2 norm of all weights that go with it, those of the layers
    that read it included. Outputs keep their shapes.

    Raises:
        OptimisationError: no channel can go, or what is left does not fit together.
    """
    _refuse_shared_weights(network)
    fixed = _fixed_layers(network)
    before = parameter_count(network)
    shapes = [output.shape for output in outputs_of(network, examples)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parameters that it leaves alone
            _pruner(network, examples, percent, fixed).step()
        after = [output.shape for output in outputs_of(network, examples)]
    except Exception as error:  # torch-pruning and torch raise whatever does not fit
        raise OptimisationError(
            f"channels cannot be removed: what is left does not fit together ({first_line(error)})"
        ) from error
    if shapes != after:
        raise OptimisationError("channels cannot be removed: an output would change its shape")
    if parameter_count(network) == before:
        raise OptimisationError(
            f"no layer has channels to spare: all are fixed by the outputs or by sizes that the"
            f" program holds, or have {CHANNELS_MULTIPLE} or fewer"
        )


def _pruner(
    network: fx.GraphModule, examples: Sequence[Tensor], percent: int, fixed: list[nn.Module]
) -> torch_pruning.pruner.BasePruner:
    shares = {}
    for layer in network.modules():
        if isinstance(layer, _PRUNED):
            channels = layer.weight.shape[0]
            # torch-pruning rounds down what stays: half a channel more is the same number.
            shares[layer] = max(1 - (kept_channels(channels, percent) + 0.5) / channels, 0.0)
    return torch_pruning.pruner.BasePruner(
        network,
        tuple(examples),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio_dict=shares,
        ignored_layers=fixed,
        root_module_types=list(_PRUNED),
        in_channel_groups={},  # its defaults are dictionaries that all pruners share
        out_channel_groups={},
        num_heads={},
    )


def _refuse_shared_weights(network: fx.GraphModule) -> None:
    """torch-pruning gives each layer a tensor of its own, so that shared ones would part."""
    owners = Counter(
        id(parameter)
        for module in network.modules()
        for parameter in module.parameters(recurse=False)
    )
    if max(owners.values(), default=0) > 1:
        raise OptimisationError("two layers share a weight, and pruning would part them")


def _fixed_layers(network: fx.GraphModule) -> list[nn.Module]:
    """Layers whose channels must stay: they reach an output, or a call that counts on them.

    Such as the reshape of an attention's heads. What is unknown counts on them.
    """
    return [
        layer
        for node in network.graph.nodes
        if node.op == "call_module"
        and isinstance(layer := network.get_submodule(node.target), _PRUNED)
        and _is_counted_on(network, node)
    ]


def _is_counted_on(network: fx.GraphModule, layer: fx.Node) -> bool:
    seen: set[fx.Node] = set()
    ahead = [layer]
    while ahead:
        node = ahead.pop()
        for user in node.users:
            if user in seen or _reads_channels(network, user):
                continue
            if not _lets_channels_go(network, user):
                return True
            seen.add(user)
            ahead.append(user)
    return False


def _reads_channels(network: fx.GraphModule, node: fx.Node) -> bool:
    """The next layer, whose inputs shrink as its predecessor's outputs do; or a size."""
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        return isinstance(layer, _PRUNED) and not _is_depthwise(layer)
    return node.target is aten.sym_size.int


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, _CONVOLUTIONS) and 1 < layer.groups == layer.out_channels


def _lets_channels_go(network: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return True  # normalization, dropout
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    if node.target is aten.reshape.default:
        sizes: list[int | fx.Node] = arguments_of(node)["shape"]
        return -1 in sizes
    if torch.Tag.pointwise in node.target.tags:
        return not any(_is_long_constant(network, source) for source in node.all_input_nodes)
    if node.target is aten.cat.default:
        return bool(arguments_of(node)["dim"] == 1 and node.meta["val"].ndim != 3)
    return node.target.overloadpacket.__name__ in _KEEP_CHANNELS_APART


def _is_long_constant(network: fx.GraphModule, node: fx.Node) -> bool:
    """A buffer with a value for each channel, which torch-pruning does not know to shorten."""
    if node.op != "get_attr":
        return False
    value = attribute(network, str(node.target))
    return not isinstance(value, nn.Parameter) and value.numel() > 1
