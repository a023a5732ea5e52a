"""Stages 2 and 3 for ExportedProgram: load without running foreign code, export to ONNX.

Imports torch when a source needs it, since that takes seconds; of the other modules only those
that train do (`dlagent.build.optimisations`), when they are asked to make something.

`torch.export.load` by itself is not safe: it falls back to full unpickling of weights and example
inputs, unpickles custom objects, and evaluates symbolic expressions as Python. So weights-only
loading is forced for the whole process, archives with custom objects are refused, and expressions
may hold arithmetic only.
"""

import json
import logging
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import GraphProto, ModelProto

from dlagent.api.types import Tensor
from dlagent.build.archive import open_archive
from dlagent.build.detect import begins_whole
from dlagent.build.failure import BuildError
from dlagent.build.runtime import Array, first_line
from dlagent.domain.artifact.summary import FailureReason

if TYPE_CHECKING:
    from torch.export import ExportedProgram

OPSET = 20  # every Triton since 24.03 knows it, and it is what torch's exporter is written for

# sympy's notation, such as Max(Symbol('s0', integer=True), Integer(1)) + 2: calls are of its
# classes, which begin with a capital letter; quotes hold a name.
_NAME = re.compile(r"'[A-Za-z0-9_]*'")
_ARITHMETIC = re.compile(r"[A-Za-z0-9_ +\-*/%(),<>=&|~]*")
_CALL_OF_ANOTHER = re.compile(r"\b[a-z_][A-Za-z0-9_]*\s*\(|\)\s*\(")
_OPERATOR = re.compile(r'"target": ?"torch\.ops\.([^."]+)\.([^."]+)')
_OWN_OPERATORS = {"aten", "prims", "prim", "higher_order"}
_MOST_TEXT_BYTES = 64 << 20  # graphs are some kilobytes a layer
_CONSTANTS_CONFIG = "model_constants_config.json"


def load_program(path: Path, max_bytes: int) -> "ExportedProgram":
    """The program in the archive, which unpacked has at most `max_bytes`.

    Raises:
        BuildError: PickleRefused, InvalidModel, UnsupportedOperator.
    """
    _check_archive(path, max_bytes)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    # Threads that wait by spinning make training several times slower where other programs run.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch  # seconds: only where a source needs it

    try:
        # torch looks at the suffix, and the copy of the source has none.
        with path.open("rb") as file:
            return torch.export.load(file)
    except MemoryError:
        raise
    except Exception as error:  # torch raises whatever the archive provokes
        raise _load_failure(error) from error


def export(
    program: "ExportedProgram", inputs: Sequence[Tensor] | None, outputs: Sequence[Tensor] | None
) -> ModelProto:
    """The program as ONNX: the same bytes for the same program, without traces of its origin.

    Its tensors are named as these, where their number agrees.

    Raises:
        BuildError: UnsupportedOperator, InvalidModel.
    """
    import torch  # as above

    # It warns of packages that no network here could use.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    signature = program.graph_signature
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=_names(inputs, len(signature.user_inputs)),
            output_names=_names(outputs, len(signature.user_outputs)),
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise BuildError(
            FailureReason.UNSUPPORTED_OPERATOR,
            f"torch cannot export the program to ONNX ({_cause(error)}); use operators that"
            " torch.onnx.export(dynamo=True) knows",
        ) from error
    if exported is None:
        raise BuildError(FailureReason.INVALID_MODEL, "torch exported nothing")
    return canonical(exported.model_proto)


def runner(program: "ExportedProgram") -> Callable[[list[Array]], list[Array]]:
    """The program itself, on numpy arrays in the order of its inputs."""
    import torch  # as above

    module = program.module()

    def run(inputs: list[Array]) -> list[Array]:
        with torch.no_grad():
            result = module(*(torch.from_numpy(array.copy()) for array in inputs))
        flat, _ = torch.utils._pytree.tree_flatten(result)
        return [value.numpy() for value in flat]

    return run


def torch_version() -> str:
    import torch  # as above

    return str(torch.__version__)


def canonical(model: ModelProto) -> ModelProto:
    """Without names of files, stack traces and inferred shapes, which differ from run to run.

    Free axes are named by their place: torch names them by chance.
    """
    kept = ModelProto()
    kept.CopyFrom(model)
    kept.ClearField("metadata_props")
    kept.doc_string = ""
    kept.producer_name = "dlagent"
    kept.producer_version = ""
    for function in kept.functions:
        function.ClearField("metadata_props")
        function.doc_string = ""
        function.ClearField("value_info")
        for node in function.node:
            node.ClearField("metadata_props")
            node.doc_string = ""
    _strip_graph(kept.graph)
    _name_axes(kept.graph)
    return kept


def _strip_graph(graph: GraphProto) -> None:
    graph.doc_string = ""
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        value.ClearField("metadata_props")
    for tensor in graph.initializer:
        tensor.doc_string = ""
        tensor.ClearField("metadata_props")
    for node in graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
        for attribute in node.attribute:
            attribute.doc_string = ""
            for inner in [attribute.g, *attribute.graphs] if attribute.HasField("g") else []:
                _strip_graph(inner)


def _name_axes(graph: GraphProto) -> None:
    names: dict[str, str] = {}
    for value in (*graph.input, *graph.output):
        for place, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                fallback = "batch" if place == 0 else f"axis_{len(names)}"
                dim.dim_param = names.setdefault(dim.dim_param, fallback)


def _names(tensors: Sequence[Tensor] | None, count: int) -> list[str] | None:
    return [t.name for t in tensors] if tensors is not None and len(tensors) == count else None


def _check_archive(path: Path, max_bytes: int) -> None:
    try:
        with open_archive(path, max_bytes) as archive:
            if not begins_whole(archive.infolist()):
                raise zipfile.BadZipFile
            for name in archive.namelist():
                if name.endswith(_CONSTANTS_CONFIG):
                    _check_constants(json.loads(_text(archive, name)))
                elif "/models/" in name and name.endswith(".json"):
                    content = _text(archive, name)
                    _check_operators(content)
                    _check_expressions(json.loads(content))
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            "the source is not an archive of torch.export.save, or it is cut; write it again and"
            " compare its SHA-256",
        ) from error


def _text(archive: zipfile.ZipFile, name: str) -> str:
    """A part that is parsed in memory, where it takes many times its size."""
    if archive.getinfo(name).file_size > _MOST_TEXT_BYTES:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            f"{name[-80:]} in the archive has more than {_MOST_TEXT_BYTES} bytes, as no program"
            " has; export the model again with torch.export.save",
        )
    return archive.read(name).decode()


def _check_constants(config: Any) -> None:
    entries = config.get("config", {}) if isinstance(config, dict) else {}
    for name, entry in entries.items():
        if not str(entry.get("path_name", "")).startswith("tensor_"):
            raise BuildError(
                FailureReason.PICKLE_REFUSED,
                f"the constant {name} of the program is a pickled Python object; export a model"
                " whose constants are tensors",
            )


def _check_operators(model: str) -> None:
    """An operator of another namespace exists only where its Python package was imported."""
    for namespace, name in _OPERATOR.findall(model):
        if namespace not in _OWN_OPERATORS:
            raise BuildError(
                FailureReason.UNSUPPORTED_OPERATOR,
                f"the program calls {namespace}::{name}, which needs Python code of its own;"
                " export the model with torch's operators only",
            )


def _check_expressions(model: Any) -> None:
    for text in _expressions(model):
        bare = _NAME.sub("", text)
        if "__" in text or not _ARITHMETIC.fullmatch(bare) or _CALL_OF_ANOTHER.search(bare):
            raise BuildError(
                FailureReason.INVALID_MODEL,
                f"a size in the program is {text[:60]!r}, which is more than arithmetic;"
                " export the model again with torch.export.save",
            )


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "expr_str" and isinstance(inner, str):
                yield inner
            else:
                yield from _expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _expressions(inner)


def _load_failure(error: Exception) -> BuildError:
    text = _cause(error)
    if "weights_only" in str(error) or "Weights only" in str(error):
        return BuildError(
            FailureReason.PICKLE_REFUSED,
            "the archive holds pickled Python objects; write it with torch.export.save of this"
            " torch version, with tensors only",
        )
    return BuildError(
        FailureReason.INVALID_MODEL,
        f"torch cannot load the program ({text}); write it again with torch.export.save",
    )


def _cause(error: BaseException) -> str:
    """The first line of the innermost cause: torch wraps it in a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(Exception(str(error) or type(error).__name__))
