"""The torch side of a build: the source and the student, loaded anew whenever they are asked for.

Optimisations change what they get, so each gets a program of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import ModelProto

from dlagent.build import exported_program
from dlagent.build.optimisations.base import OptimisationError
from dlagent.domain.artifact.request import BuildRequest

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class SourcePrograms:
    """How each is loaded: `load_source` is None for ONNX, `load_student` where there is none."""

    request: BuildRequest
    load_source: "Callable[[], ExportedProgram] | None"
    load_student: "Callable[[], ExportedProgram] | None"

    def program(self) -> "ExportedProgram":
        if self.load_source is None:
            raise OptimisationError("the source is ONNX, which cannot be trained")
        return self.load_source()

    def student(self) -> "ExportedProgram":
        if self.load_student is None:
            raise OptimisationError("spec.build.distill.student is not set")
        return self.load_student()

    def export(self, program: "ExportedProgram") -> ModelProto:
        return exported_program.export(program, self.request)
