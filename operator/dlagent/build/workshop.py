"""What optimisations work with: the source, its data, its answers, and what was made before.

Made by dlagent.build.pipeline for dlagent.build.search; optimisations see it as the protocol
`dlagent.build.optimisations.base.Workshop`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import onnx
from onnx import ModelProto

from dlagent.build.network import Network
from dlagent.build.optimisations.base import Made, Optimisation, OptimisationError
from dlagent.build.runtime import Answering, Array, Session
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Skipped

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_CHUNK = 256  # examples at a time: enough for speed, little enough for memory

Perceive = Callable[[Mapping[str, Array]], dict[str, Array]]


class Examples:
    """The data set by part, as the network takes it. Perceived when first asked for, then kept."""

    def __init__(
        self,
        raw: Mapping[str, Array],
        labels: Array | None,
        parts: Mapping[Part, Array],
        perceive: Perceive,
    ) -> None:
        """`raw` are whole arrays as clients send them; `parts` the numbers of the examples."""
        self._raw = raw
        self._labels = labels
        self._parts = parts
        self._perceive = perceive
        self._kept: dict[Part, dict[str, Array]] = {}

    def count(self, part: Part) -> int:
        return len(self._parts[part])

    def inputs(self, part: Part, limit: int | None = None) -> dict[str, Array]:
        """What the network takes, the first `limit` examples of the part."""
        wanted = self.count(part) if limit is None else min(limit, self.count(part))
        kept = self._kept.get(part)
        if kept is None or len(next(iter(kept.values()))) < wanted:
            kept = self._perceived(self._parts[part][:wanted])
            self._kept[part] = kept
        return {name: values[:wanted] for name, values in kept.items()}

    def labels(self, part: Part, limit: int | None = None) -> Array | None:
        if self._labels is None:
            return None
        return self._labels[self._parts[part][:limit]]

    def _perceived(self, numbers: Array) -> dict[str, Array]:
        chunks = [
            self._perceive({n: a[numbers[at : at + _CHUNK]] for n, a in self._raw.items()})
            for at in range(0, len(numbers), _CHUNK)
        ]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def answers(session: Answering, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """A network's outputs by name for all examples, asked for in chunks. Raises RunError."""
    count = len(next(iter(inputs.values())))
    chunks = [
        session.run({name: values[at : at + _CHUNK] for name, values in inputs.items()})
        for at in range(0, count, _CHUNK)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


class Programs(Protocol):
    """The source and the student as torch has them; see Workshop."""

    def program(self) -> "ExportedProgram": ...

    def student(self) -> "ExportedProgram": ...

    def export(self, program: "ExportedProgram") -> ModelProto: ...


class Judge(Protocol):
    """How much a network loses on the first `limit` selection examples."""

    def drop(self, model: ModelProto, limit: int | None) -> float: ...


class SourceWorkshop:
    """One build's workshop. What was made is kept in `folder`: large networks do not fit twice."""

    def __init__(
        self,
        network: Network,
        examples: Examples | None,
        programs: Programs,
        judge: Judge,
        optimisations: Sequence[Optimisation],
        folder: Path,
    ) -> None:
        self._network = network
        self._examples = examples
        self._programs = programs
        self._judge = judge
        self._optimisations = {optimisation.name: optimisation for optimisation in optimisations}
        self._folder = folder
        self._planned: dict[str, Candidate] = {}
        self._made: dict[tuple[str, float], Made] = {}
        self._teacher: dict[Part, list[Array]] = {}

    def plan(self, facts: Facts) -> Plan:
        """All candidates in the order of planning, and all that cannot apply."""
        candidates: list[Candidate] = []
        skipped: list[Skipped] = []
        for optimisation in self._optimisations.values():
            plan = optimisation.plan(facts, candidates)
            candidates += plan.candidates
            skipped += plan.skipped
        self._planned = {candidate.name: candidate for candidate in candidates}
        return Plan(tuple(candidates), tuple(skipped))

    def make(self, candidate: Candidate, effort: float) -> Made:
        """A planned candidate; made once for each effort.

        Raises:
            OptimisationError: it cannot be made.
        """
        path = self._path(candidate.name, effort)
        before = self._made.get((candidate.name, effort))
        if before is not None:
            return replace(before, model=onnx.load(path))
        made = self._optimisations[candidate.optimisation].make(candidate, self, effort)
        if made.effort is None:
            made = replace(made, effort=self._spent_on_base(candidate, effort))
        path.write_bytes(made.model.SerializeToString(deterministic=True))
        self._made[candidate.name, effort] = replace(made, model=ModelProto())
        return made

    def source(self) -> ModelProto:
        copy = ModelProto()
        copy.CopyFrom(self._network.model)
        return copy

    def program(self) -> "ExportedProgram":
        return self._programs.program()

    def student(self) -> "ExportedProgram":
        return self._programs.student()

    def export(self, program: "ExportedProgram") -> ModelProto:
        return self._programs.export(program)

    def inputs(self, part: Part, limit: int | None = None) -> dict[str, Array]:
        return self._data().inputs(part, limit)

    def labels(self, part: Part, limit: int | None = None) -> Array | None:
        return self._data().labels(part, limit)

    def teacher(self, part: Part, limit: int | None = None) -> list[Array]:
        if part not in self._teacher:
            session = Session(self._network.model.SerializeToString())
            outputs = answers(session, self.inputs(part))
            self._teacher[part] = [outputs[tensor.name] for tensor in self._network.outputs]
        return [values[:limit] for values in self._teacher[part]]

    def base(self, candidate: Candidate, effort: float) -> ModelProto:
        if candidate.base is None:
            return self.source()
        return self.make(self._planned[candidate.base], effort).model

    def _spent_on_base(self, candidate: Candidate, effort: float) -> float | None:
        """What a candidate took that tells of nothing of its own: its base's training is most."""
        base = self._made.get((candidate.base, effort)) if candidate.base is not None else None
        return base.effort if base is not None else None

    def drop(self, model: ModelProto, limit: int) -> float:
        return self._judge.drop(model, limit)

    def _data(self) -> Examples:
        if self._examples is None:
            raise OptimisationError("it needs a data set: set spec.build.dataset")
        return self._examples

    def _path(self, name: str, effort: float) -> Path:
        return self._folder / f"{name}@{effort:g}.onnx"
