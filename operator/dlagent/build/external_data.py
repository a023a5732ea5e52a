"""ONNX with external data: weights in files beside the model, by names that the model gives.

The names were chosen by whoever wrote the model, so they must be plain ones. `names` is asked while
the source is fetched, `embed` when it is loaded.
"""

import mmap
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model

from dlagent.build.failure import BuildError
from dlagent.build.runtime import first_line
from dlagent.domain.artifact.summary import FailureReason

PROTOBUF_BYTES = 2**31 - 1  # the largest message that protobuf reads or writes
MOST_FILES = 1000

_PLAIN_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_LOCATION_KEY = b"location"  # in every file with external data, and in few without


def names(path: Path) -> list[str]:
    """The files that a model's weights are in, sorted; [] for a file that is no ONNX.

    Raises:
        BuildError: InvalidModel: a name is not a plain one, or there are too many.
    """
    if not _mentions_a_location(path):
        return []
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except (DecodeError, ValueError):
        return []  # the next stage says what is wrong with it
    found = sorted({_info(tensor).location for tensor in tensors(model) if _is_external(tensor)})
    for name in found:
        if not _PLAIN_NAME.fullmatch(name) or name in (".", ".."):
            raise _invalid(
                f"a weight is in the file {name[:80]!r}, which is not the name of a file beside the"
                " model; save the model anew: onnx.save(onnx.load('model.onnx'), 'new.onnx',"
                " save_as_external_data=True, location='new.onnx.data')"
            )
    if len(found) > MOST_FILES:
        raise _invalid(
            f"the weights are in {len(found)} files, and at most {MOST_FILES} are read; save them"
            " in one: onnx.save(..., save_as_external_data=True, all_tensors_to_one_file=True)"
        )
    return found


def embed(model: ModelProto, folder: Path | None) -> None:
    """Take the weights from their files in `folder` into the model; None: there are no files.

    Raises:
        BuildError: InvalidModel: a file is too short, or all of it is too large for one message.
    """
    outside = [tensor for tensor in tensors(model) if _is_external(tensor)]
    if not outside:
        return
    if folder is None:
        raise _invalid(
            f"the weight {outside[0].name[:80]} is in another file, and the model does not say in"
            " which; save the model anew"
        )
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


def _mentions_a_location(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_LOCATION_KEY) >= 0


def _invalid(message: str) -> BuildError:
    return BuildError(FailureReason.INVALID_MODEL, message)
