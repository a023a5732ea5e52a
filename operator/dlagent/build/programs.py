"""The torch side of a build: the source and the student, loaded anew whenever they are asked for.

Optimisations change what they get, so each gets a program of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto

from dlagent.build import exported_program
from dlagent.build.optimisations.base import OptimisationError
from dlagent.domain.artifact.request import BuildRequest

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class SourcePrograms:
    """Where the archives lie; `source` is None where it is no ExportedProgram."""

    request: BuildRequest
    source_path: Path | None
    student_path: Path | None

    def program(self) -> "ExportedProgram":
        return _load(self.source_path, "the source is no ExportedProgram")

    def student(self) -> "ExportedProgram":
        return _load(self.student_path, "spec.build.distill.student is not set")

    def export(self, program: "ExportedProgram") -> ModelProto:
        return exported_program.export(program, self.request)


def _load(path: Path | None, missing: str) -> "ExportedProgram":
    if path is None:
        raise OptimisationError(missing)
    return exported_program.load_program(path)
