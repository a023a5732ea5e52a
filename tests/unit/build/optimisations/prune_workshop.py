"""A workshop with real parts: a program, its ONNX, and examples that its own answers label."""

from collections.abc import Callable

import numpy as np
import torch
from onnx import ModelProto
from torch.export import ExportedProgram

from dlagent.build import exported_program
from dlagent.build.optimisations.modules import outputs_of
from dlagent.build.runtime import Array
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate

REQUEST = BuildRequest.model_validate(
    {
        "sourceUri": "pvc://models/net.pt2",
        "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
        "maxSourceBytes": 10**8,
    }
)
Make = Callable[[], ExportedProgram]


class PruneWorkshop:
    """The training part is given; labels are the classes that the source finds, where wanted."""

    def __init__(
        self,
        program: Make,
        inputs: dict[str, Array],
        *,
        labelled: bool = True,
        student: Make | None = None,
    ) -> None:
        self._make = program
        self._student = student
        self._inputs = inputs
        self._labelled = labelled
        tensors = [torch.from_numpy(values) for values in inputs.values()]
        self._teacher = [v.numpy() for v in outputs_of(program().module(), tensors)]
        self._source: ModelProto | None = None

    def source(self) -> ModelProto:
        if self._source is None:  # seconds, which not all tests need
            self._source = self.export(self.program())
        return self._source

    def program(self) -> ExportedProgram:
        return self._make()

    def student(self) -> ExportedProgram:
        assert self._student is not None
        return self._student()

    def export(self, program: ExportedProgram) -> ModelProto:
        return exported_program.export(program, REQUEST)

    def inputs(self, part: Part, limit: int | None = None) -> dict[str, Array]:
        assert part is Part.TRAIN
        return {name: values[:limit] for name, values in self._inputs.items()}

    def labels(self, part: Part, limit: int | None = None) -> Array | None:
        assert part is Part.TRAIN
        return self._teacher[0].argmax(1).astype(np.int64)[:limit] if self._labelled else None

    def teacher(self, part: Part, limit: int | None = None) -> list[Array]:
        assert part is Part.TRAIN
        return [values[:limit] for values in self._teacher]

    def base(self, candidate: Candidate, effort: float) -> ModelProto:
        raise NotImplementedError  # nothing that trains is made from another candidate

    def drop(self, model: ModelProto, limit: int) -> float:
        raise NotImplementedError  # nothing that trains asks for it
