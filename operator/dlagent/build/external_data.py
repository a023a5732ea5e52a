"""ONNX with external data: weights in files beside the model, taken into it when it is loaded.

Which files these are was found out when the source was fetched: see dlagent.build.external_names.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model

from dlagent.build.external_names import check_name
from dlagent.build.failure import BuildError
from dlagent.build.runtime import first_line
from dlagent.domain.artifact.summary import FailureReason

PROTOBUF_BYTES = 2**31 - 1  # the largest message that protobuf reads or writes


def embed(model: ModelProto, folder: Path | None) -> None:
    """Take the weights from their files in `folder` into the model; None: there are no files.

    Raises:
        BuildError: InvalidModel: a name leads elsewhere, a file is too short, or all of it is too
            large for one message.
    """
    outside = [tensor for tensor in tensors(model) if _is_external(tensor)]
    if not outside:
        return
    if folder is None:
        raise _invalid(
            f"the weight {outside[0].name[:80]} is in another file, and the model does not say in"
            " which; save the model anew"
        )
    for tensor in outside:
        check_name(_info(tensor).location)  # a library may read a file otherwise than `names`
    total = model.ByteSize() + sum(_length(tensor, folder) for tensor in outside)
    if total > PROTOBUF_BYTES:
        raise _invalid(
            f"the graph with its weights has {total} bytes, and ONNX in one file holds"
            f" {PROTOBUF_BYTES}; use a smaller model"
        )
    try:
        load_external_data_for_model(model, str(folder))
    except (onnx.checker.ValidationError, ValueError, OSError) as error:
        raise _invalid(f"its external data cannot be read: {first_line(error)}") from error


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of the model, also of the graphs and functions inside it."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph)


def _of_nodes(holder: GraphProto | FunctionProto) -> Iterator[TensorProto]:
    for node in holder.node:
        yield from _of_node(node)


def _of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in [attribute.sparse_tensor, *attribute.sparse_tensors]:
            yield from (sparse.values, sparse.indices)
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from _of_graph(graph)


def _is_external(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL


def _info(tensor: TensorProto) -> ExternalDataInfo:
    try:
        return ExternalDataInfo(tensor)
    except ValueError as error:
        raise _invalid(
            f"where the weight {tensor.name[:80]} lies cannot be understood ({first_line(error)})"
        ) from error


def _length(tensor: TensorProto, folder: Path) -> int:
    """How many bytes of a file the weight takes. Several weights may point at the same bytes."""
    info = _info(tensor)
    try:
        found = (folder / info.location).lstat()
    except OSError as error:
        raise _invalid(f"the file {info.location[:80]!r} of its weights is missing") from error
    # Its types are those of its __init__, which sets what it reads later.
    given: dict[str, int | None] = vars(info)
    offset = given["offset"] or 0
    length = given["length"] if given["length"] is not None else found.st_size - offset
    if not stat.S_ISREG(found.st_mode) or length < 0 or offset + length > found.st_size:
        raise _invalid(
            f"the weight {tensor.name[:80]} goes beyond the end of {info.location}; upload both"
            " files again"
        )
    return length


def _invalid(message: str) -> BuildError:
    return BuildError(FailureReason.INVALID_MODEL, message)
