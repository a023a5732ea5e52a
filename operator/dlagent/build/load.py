"""Stages 2 and 3: the source's files as a network that answers, and as ONNX.

Called by dlagent.build.pipeline. What is untrusted is read here: see docs/how-to/sources.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from dlagent.api.types import ModelFormat
from dlagent.build import exported_program, runtime, weights
from dlagent.build.detect import detect
from dlagent.build.fetch import Source
from dlagent.build.network import Network, inspect
from dlagent.build.onnx_source import load_onnx, main_opset
from dlagent.build.parity import Run, as_run
from dlagent.build.programs import SourcePrograms
from dlagent.build.progress import Progress
from dlagent.domain.artifact.request import DATASET_FIELD, STUDENT_FIELD, BuildRequest

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class Loaded:
    """The source: as ONNX, as something that answers, and as torch has it, if it does.

    `dataset` is the file that the spec names beside it.
    """

    network: Network
    run: Run
    programs: SourcePrograms
    dataset: Path | None
    versions: dict[str, str]


def load(
    request: BuildRequest, source: Source, beside: Mapping[str, Path], progress: Progress
) -> Loaded:
    """Read the source. `beside` are the other files, by the field of the spec that names them.

    Raises:
        BuildError: InvalidModel, PickleRefused, UnsupportedOperator, ShapeMismatch.
    """
    versions = {"onnx": onnx.__version__, "onnxruntime": runtime.VERSION}
    dataset, student_path = beside.get(DATASET_FIELD), beside.get(STUDENT_FIELD)
    progress.begin("load", "checking the model")
    format_ = detect(request, source.path)
    limit = request.max_source_bytes
    student = _program_at(student_path, limit) if student_path is not None else None
    if format_ == ModelFormat.ONNX:
        model = load_onnx(source, request.target.triton_version)
        network = inspect(model)
        progress.begin("export", f"ONNX already, opset {main_opset(model)}")
        programs = SourcePrograms(request, None, student)
        return Loaded(network, as_run(network), programs, dataset, versions)
    load_program = _loader(request, source, format_)
    program = load_program()
    progress.begin("export", "exporting to ONNX")
    network = inspect(exported_program.export(program, request))
    versions["torch"] = exported_program.torch_version()
    programs = SourcePrograms(request, load_program, student)
    return Loaded(network, exported_program.runner(program), programs, dataset, versions)


def _loader(
    request: BuildRequest, source: Source, format_: ModelFormat
) -> Callable[[], "ExportedProgram"]:
    if format_ == ModelFormat.SAFE_TENSORS:
        return lambda: weights.load_program(source.path, request)
    return _program_at(source.path, request.max_source_bytes)


def _program_at(path: Path, max_bytes: int) -> Callable[[], "ExportedProgram"]:
    return lambda: exported_program.load_program(path, max_bytes)
