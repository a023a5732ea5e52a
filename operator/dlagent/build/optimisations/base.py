"""What an optimisation is: a plan from facts, and a network made as planned.

An optimisation is one module with one class; the registry in `dlagent.build.optimisations` knows
them all, and the search (dlagent.build.search) calls nothing but this interface. Networks here are
without perceive and act: the same inputs and outputs as the source's, batch axis included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from onnx import ModelProto

from dlagent.build.runtime import Array
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Plan

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class OptimisationError(Exception):
    """This candidate cannot be made; the message says why, for the report. The build goes on."""


@dataclass(frozen=True)
class Made:
    """A network, and what is worth telling about it in the report, such as layers kept in FP32.

    `effort` is what was really spent, where work comes in larger steps than were asked for.
    """

    model: ModelProto
    notes: Mapping[str, str] = field(default_factory=dict)
    effort: float | None = None


class Workshop(Protocol):
    """What optimisations work with. Arrays have the examples first, in a fixed order.

    `inputs` are what the network takes, after perceive, by name; `limit` takes the first so many.
    """

    def source(self) -> ModelProto:
        """The source as ONNX, in FP32."""
        ...

    def program(self) -> "ExportedProgram":
        """The source as torch has it, fresh at each call; only where Facts.trainable."""
        ...

    def student(self) -> "ExportedProgram":
        """The user's student, fresh at each call; only where Facts.has_student."""
        ...

    def export(self, program: "ExportedProgram") -> ModelProto:
        """A program with the source's inputs and outputs as ONNX, as the source was exported."""
        ...

    def inputs(self, part: Part, limit: int | None = None) -> dict[str, Array]: ...

    def labels(self, part: Part, limit: int | None = None) -> Array | None:
        """Class numbers, int64 [n]; None where the data set has none."""
        ...

    def teacher(self, part: Part, limit: int | None = None) -> list[Array]:
        """What the source answers to `inputs`, computed once: its outputs in order."""
        ...

    def base(self, candidate: Candidate, effort: float) -> ModelProto:
        """The network that `candidate` is to be made from: its base's, or the source."""
        ...

    def drop(self, model: ModelProto, limit: int) -> float:
        """How much of the metric a network loses on the first `limit` selection examples.

        As a share, or as the largest error where that is the metric. For decisions inside an
        optimisation, such as which layers stay in FP32; the search judges on all of them.
        """
        ...


class Optimisation(Protocol):
    """One way to make a network faster."""

    name: str

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        """What it would try, beside what is `planned` already. Pure."""
        ...

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        """The network of one of its candidates: the same bytes for the same inputs.

        `effort`, above 0 and at most 1, is the share of the full work (calibration examples,
        epochs) that may be spent: little for a first estimate, 1 for what is published. What is
        made with effort 1 does not depend on what was made with less before.

        Raises:
            OptimisationError: it cannot be made of this network.
        """
        ...
