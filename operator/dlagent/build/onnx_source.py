"""Stage 2 for ONNX: parse and check the file, and refuse what could not be served."""

from collections.abc import Iterator, Sequence

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto

from dlagent.build import external_data
from dlagent.build.external_data import PROTOBUF_BYTES
from dlagent.build.failure import BuildError
from dlagent.build.fetch import Source
from dlagent.build.runtime import first_line
from dlagent.domain.artifact.summary import FailureReason

_STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
# What the ONNX Runtime in NVIDIA's Triton images takes: (opset, IR version), by Triton release.
# A release that is not listed is taken to know what this builder's own ONNX Runtime knows.
_LIMITS = {"24.10": (21, 10)}


def load_onnx(source: Source, triton_version: str) -> ModelProto:
    """The model in the file, its external data in it.

    Raises:
        BuildError: InvalidModel, UnsupportedOperator.
    """
    size = source.path.stat().st_size
    if size > PROTOBUF_BYTES:  # before anything reads it into memory
        raise _invalid(
            f"the file has {size} bytes, and protobuf, in which ONNX is written, holds at most"
            f" {PROTOBUF_BYTES}; it is no ONNX file, or it was written beyond that limit: use a"
            " smaller model"
        )
    try:
        model = onnx.load_model_from_string(source.path.read_bytes())
    except (DecodeError, ValueError) as error:
        raise _invalid(
            "the source is not an ONNX file, or it is cut; write it again and compare its SHA-256"
        ) from error
    if not model.graph.node or not model.opset_import:
        raise _invalid("the source is not an ONNX file: it holds no graph")
    _check_operators(model)
    _check_versions(model, triton_version)
    external_data.embed(model, source.external)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise _invalid(f"the ONNX checker refuses the model: {first_line(error)}") from error
    return model


def network_inputs(graph: GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a request gives: old files list their weights as inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def main_opset(model: ModelProto) -> int:
    """The version of the standard operator set that the model uses."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def each_node(model: ModelProto) -> Iterator[NodeProto]:
    """The nodes of the graph, of the graphs inside them (If, Loop, Scan) and of functions."""
    yield from _within(model.graph.node)
    for function in model.functions:
        yield from _within(function.node)


def _check_operators(model: ModelProto) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    for node in each_node(model):
        if (node.domain, node.op_type) in own:
            continue
        known = node.domain in _STANDARD_DOMAINS
        if known and node.domain != "com.microsoft":
            known = onnx.defs.has(node.op_type, "" if node.domain == "ai.onnx" else node.domain)
        if not known:
            name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            raise BuildError(
                FailureReason.UNSUPPORTED_OPERATOR,
                f"the operator {name} (node {node.name or 'without a name'}) is not one of ONNX;"
                " export the model with standard operators only",
            )


def _check_versions(model: ModelProto, triton_version: str) -> None:
    opset_limit, ir_limit = _LIMITS.get(triton_version, (onnx.defs.onnx_opset_version(), None))
    opset = main_opset(model)
    if opset > opset_limit:
        raise _invalid(
            f"the model uses opset {opset}, and Triton {triton_version} knows up to {opset_limit};"
            f" export it with opset_version={opset_limit}"
        )
    if ir_limit is not None and model.ir_version > ir_limit:
        raise _invalid(
            f"the model has IR version {model.ir_version}, and Triton {triton_version} knows up to"
            f" {ir_limit}; export it with an older onnx package or set ir_version={ir_limit}"
        )


def _within(nodes: Sequence[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _within(attribute.g.node)
            for graph in attribute.graphs:
                yield from _within(graph.node)


def _invalid(message: str) -> BuildError:
    return BuildError(FailureReason.INVALID_MODEL, message)
