import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.student import Student
from dlagent.build.runtime import Session
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Precision
from tests.unit.build.optimisations.networks import exported, pictures, plain_cnn
from tests.unit.build.optimisations.prune_workshop import Make, PruneWorkshop
from tests.unit.build.optimisations.test_pruned import FACTS

CANDIDATE = Candidate(
    name="student",
    optimisation="student",
    precision=Precision.FP32,
    options={"epochs": 6},
    trained=True,
)


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        pytest.param(dataclasses.replace(FACTS, has_student=True), [], id="given"),
        pytest.param(
            dataclasses.replace(FACTS, has_student=True, trainable=False),
            [],
            id="of an ONNX source",
        ),
        pytest.param(FACTS, ["spec.build.distill.student is not set"], id="not given"),
        pytest.param(
            dataclasses.replace(FACTS, has_student=True, train_examples=10),
            ["training needs at least 1000 examples, and spec.build.dataset has 10 for it"],
            id="too few examples",
        ),
    ],
)
def test_the_plan(given: Facts, reasons: list[str]) -> None:
    plan = Student().plan(given, [])

    assert reasons == [skipped.reason for skipped in plan.skipped]
    assert plan.candidates == (() if reasons else (CANDIDATE,))


def source() -> torch.export.ExportedProgram:
    torch.manual_seed(5)
    return exported(plain_cnn(), pictures(2))


def linear(inputs: int = 768, outputs: int = 5) -> Make:
    def make() -> torch.export.ExportedProgram:
        torch.manual_seed(6)
        network = nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))
        example = torch.zeros(2, 3, 16, inputs // 48)
        return exported(network, [example])

    return make


class StudentsWorkshop(PruneWorkshop):
    """One source, and each test's student."""

    def teach(self, student: Make) -> "StudentsWorkshop":
        self._student = student
        return self


@pytest.fixture(scope="module")
def workshop() -> StudentsWorkshop:
    return StudentsWorkshop(source, {"x": pictures(200)[0].numpy()})


def test_a_student_learns_from_the_weights_that_it_comes_with(workshop: StudentsWorkshop) -> None:
    given = workshop.teach(linear())

    made = Student().make(CANDIDATE, given, 1)

    def distance(model: bytes) -> float:
        session = Session(model)
        name = given.source().graph.input[0].name
        (found,) = session.run({name: given.inputs(Part.TRAIN)["x"]}).values()
        return float(np.abs(found - given.teacher(Part.TRAIN)[0]).mean())

    before = given.export(linear()()).SerializeToString()
    assert "3,845" == made.notes["parameters"]
    assert distance(made.model.SerializeToString()) < distance(before)
    ports = [*made.model.graph.input, *made.model.graph.output]
    wanted = [*given.source().graph.input, *given.source().graph.output]
    assert [port.type for port in wanted] == [port.type for port in ports]


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(768, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.head(x.flatten(1))
        return scores, scores.argmax(1)


@pytest.mark.parametrize(
    ("student", "message"),
    [
        pytest.param(
            linear(inputs=384),
            r"the student's inputs are float32 \[\?, 3, 16, 8\], and the source's are float32"
            r" \[\?, 3, 16, 16\]; they must be alike",
            id="other inputs",
        ),
        pytest.param(
            linear(outputs=4),
            r"outputs are float32 \[\?, 4\], and the source's are float32 \[\?, 5\];",
            id="other outputs",
        ),
        pytest.param(
            lambda: exported(TwoOutputs(), pictures(2)),
            r"outputs are float32 \[\?, 5\], int64 \[\?\], and the source's are float32 \[\?, 5\];",
            id="more outputs",
        ),
        pytest.param(
            lambda: exported(plain_cnn(), pictures(2), free_batch=False),
            r"inputs are float32 \[2, 3, 16, 16\], and",
            id="a fixed batch",
        ),
    ],
)
def test_what_differs_is_said(student: Make, message: str, workshop: StudentsWorkshop) -> None:
    with pytest.raises(OptimisationError, match=message):
        Student().make(CANDIDATE, workshop.teach(student), 1)
