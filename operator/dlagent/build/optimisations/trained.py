"""What optimisations that train have in common: when they apply, and how a candidate is made.

Imports torch only to make something: planning does without.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnx import ValueInfoProto, helper

from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram
    from torch.fx import GraphModule

    from dlagent.build.optimisations.distillation import Training

# A twentieth is held out to find the best epoch: with fewer than 50 of them, two epochs whose
# accuracies differ by less than 14 points (two standard errors) could not be told apart.
MINIMAL_TRAIN_EXAMPLES = 1000


@dataclass(frozen=True)
class Port:
    """An input or output: numpy's name of its type, and its shape; a free axis is None."""

    data_type: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.data_type} [{', '.join('?' if n is None else str(n) for n in self.shape)}]"


def port_of(value: ValueInfoProto) -> Port:
    """An input or output of an ONNX graph."""
    tensor = value.type.tensor_type
    return Port(
        helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
        tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim),
    )


def reason_not_to_train(facts: Facts) -> str | None:
    """Why nothing can be trained with this data set; None where it can."""
    if facts.train_examples == 0:
        return "it is trained after it was made smaller: set spec.build.dataset"
    if facts.train_examples < MINIMAL_TRAIN_EXAMPLES:
        return (
            f"training needs at least {MINIMAL_TRAIN_EXAMPLES} examples, and spec.build.dataset has"
            f" {facts.train_examples} for it"
        )
    return None


@dataclass
class Trainings:
    """The trainings of one build, by candidate: they go on where an estimate stopped.

    Those of a build before are dropped: a process has one build at a time.
    """

    _build: "weakref.ref[Workshop] | None" = None
    _begun: dict[str, "Training"] = field(default_factory=dict)

    def of(
        self, candidate: Candidate, workshop: Workshop, begin: Callable[[], "Training"]
    ) -> "Training":
        if self._build is None or self._build() is not workshop:
            self._build = weakref.ref(workshop)
            self._begun.clear()
        if candidate.name not in self._begun:
            self._begun[candidate.name] = begin()
        return self._begun[candidate.name]


def distil(
    trainings: Trainings,
    candidate: Candidate,
    workshop: Workshop,
    effort: float,
    program: "ExportedProgram",
    shrink: "Callable[[GraphModule, Sequence[Tensor]], None]",
) -> Made:
    """`program`, shrunk by `shrink(network, examples)` and taught by the source, as ONNX.

    Raises:
        OptimisationError: it cannot be made.
    """
    from dlagent.build.optimisations import distillation, modules  # torch: seconds

    if not modules.batch_is_free(program):
        raise OptimisationError(
            "its first axis is not one free size in every input, and training needs batches; export"
            " it with dynamic_shapes"
        )
    examples = distillation.tensors(list(workshop.inputs(Part.TRAIN, limit=2).values()))

    def begin() -> "Training":
        network = modules.trainable(program, examples)
        shrink(network, examples)
        lesson = distillation.lesson_of(workshop)
        return distillation.Training(network, lesson, int(candidate.options["epochs"]))

    training = trainings.of(candidate, workshop, begin)
    trained = training.advance(effort)
    model = workshop.export(modules.program_of(trained, program, examples))
    return Made(model, {"parameters": f"{modules.parameter_count(trained):,}", **training.notes()})
