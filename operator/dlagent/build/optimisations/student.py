"""student: the user's own smaller network, distilled from the source."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnx import ModelProto

from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.build.optimisations.trained import (
    Port,
    Trainings,
    distil,
    port_of,
    reason_not_to_train,
)
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram
    from torch.fx import GraphModule


class Student:
    """A network of the user's, with the weights that it comes with as a start."""

    name = "student"

    def __init__(self) -> None:
        self._trainings = Trainings()

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        """FP32, as a base for INT8 as well."""
        del planned
        if not facts.has_student:
            reason: str | None = "spec.build.distill.student is not set"
        else:
            reason = reason_not_to_train(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=self.name, reason=reason),))
        candidate = Candidate(
            name=self.name,
            optimisation=self.name,
            precision=Precision.FP32,
            options={"epochs": facts.epochs},
            trained=True,
        )
        return Plan((candidate,))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        """See Optimisation.make."""
        program = workshop.student()
        _check_interface(program, workshop.source())
        return distil(self._trainings, candidate, workshop, effort, program, _as_it_is)


def _as_it_is(network: "GraphModule", examples: "Sequence[Tensor]") -> None:
    del network, examples


def _check_interface(student: "ExportedProgram", source: ModelProto) -> None:
    from dlagent.build.optimisations import modules  # torch: seconds

    graph = source.graph
    _check_ports("inputs", modules.inputs(student), [port_of(value) for value in graph.input])
    _check_ports("outputs", modules.outputs(student), [port_of(value) for value in graph.output])


def _check_ports(kind: str, found: list[Port], wanted: list[Port]) -> None:
    if found != wanted:
        raise OptimisationError(
            f"the student's {kind} are {_listed(found)}, and the source's are {_listed(wanted)};"
            " they must be alike, in the same order"
        )


def _listed(ports: list[Port]) -> str:
    return ", ".join(map(str, ports)) or "none"
