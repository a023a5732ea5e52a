"""What is asked of any ONNX graph, and how one is left after a library changed it."""

from collections import Counter

from onnx import ModelProto, NodeProto, helper

from dlagent.build.exported_program import canonical
from dlagent.build.onnx_source import each_node, network_inputs

CONTRIB_DOMAIN = "com.microsoft"
_NEWEST_IR = 10  # what ONNX Runtime 1.19 reads, which is in Triton 24.10
_STANDARD = ("", "ai.onnx")


def operator_counts(model: ModelProto) -> dict[str, int]:
    """How many nodes of each operator there are, those of inner graphs included, by name.

    Operators outside ONNX's own domain are named "domain::Operator".
    """
    return dict(sorted(Counter(_full_name(node) for node in each_node(model)).items()))


def finished(model: ModelProto, like: ModelProto) -> ModelProto:
    """A changed model as it is kept: nothing in it but what decides its answers.

    It gets the inputs and outputs of `like`, so that axes keep their names, and only the operator
    sets that it uses: libraries list all that they know, and older runtimes know fewer.
    """
    kept = canonical(model)
    inputs = network_inputs(like.graph)
    outputs = list(like.graph.output)
    del kept.graph.input[:], kept.graph.output[:]
    kept.graph.input.extend(inputs)
    kept.graph.output.extend(outputs)
    versions = {opset.domain: opset.version for opset in kept.opset_import}
    used = {node.domain for node in each_node(kept)} | {f.domain for f in kept.functions}
    standard = max(versions.get(domain, 0) for domain in _STANDARD)
    others = sorted(used - set(_STANDARD))
    del kept.opset_import[:]
    kept.opset_import.append(helper.make_opsetid("", standard))
    kept.opset_import.extend(
        helper.make_opsetid(domain, versions.get(domain, 1)) for domain in others
    )
    kept.ir_version = min(kept.ir_version, _NEWEST_IR)
    return kept


def _full_name(node: NodeProto) -> str:
    return node.op_type if node.domain in _STANDARD else f"{node.domain}::{node.op_type}"
