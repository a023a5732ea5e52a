"""What optimisations work with: examples by part, what was made before, and plans in order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from dlagent.build.network import inspect
from dlagent.build.optimisations.base import Made, Optimisation, OptimisationError, Workshop
from dlagent.build.programs import SourcePrograms
from dlagent.build.workshop import Examples, SourceWorkshop
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped
from tests.unit.build.conftest import double

FACTS = Facts(
    operators={},
    trainable=False,
    has_student=False,
    train_examples=0,
    calibrate_examples=0,
    labelled=False,
    instruction_set="avx2",
    accelerator="cpu",
    precision=None,
    channels_percent=None,
    epochs=1,
)


class Doubling:
    """Makes a network anew of its base, and counts how often; plans one on top of each planned.

    `spent` is the effort that it tells of.
    """

    def __init__(self, name: str, spent: float | None = None) -> None:
        self.name = name
        self.spent = spent
        self.made: list[tuple[str, float]] = []

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        bases = [None, *(each.name for each in planned)]
        return Plan(
            tuple(
                Candidate(
                    name=f"{base}+{self.name}" if base else self.name,
                    optimisation=self.name,
                    precision=Precision.FP32,
                    base=base,
                )
                for base in bases
            ),
            (Skipped(name=f"never-{self.name}", reason="because"),),
        )

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        self.made.append((candidate.name, effort))
        model = workshop.base(candidate, effort)
        model.producer_name += f"{candidate.name};"
        return Made(model, {"effort": f"{effort:g}"}, self.spent)


class NoJudge:
    def drop(self, model: ModelProto, limit: int | None) -> float:
        return 0.5


def workshop(folder: Path, examples: Examples | None, *given: Optimisation) -> SourceWorkshop:
    network = inspect(double())
    programs = SourcePrograms(network, None, None)
    return SourceWorkshop(network, examples, programs, NoJudge(), given, folder)


def test_plans_build_on_those_before_and_what_cannot_apply_is_kept(tmp_path: Path) -> None:
    plan = workshop(tmp_path, None, Doubling("a"), Doubling("b")).plan(FACTS)

    assert ["a", "b", "a+b"] == [candidate.name for candidate in plan.candidates]
    assert ["never-a", "never-b"] == [skipped.name for skipped in plan.skipped]


def test_a_base_is_made_once_for_each_effort_and_kept(tmp_path: Path) -> None:
    first, second = Doubling("a"), Doubling("b")
    here = workshop(tmp_path, None, first, second)
    _, _, both = here.plan(FACTS).candidates

    made = here.make(both, 0.5)
    again = here.make(both, 0.5)
    here.make(both, 1.0)

    assert made == again
    assert made.model.producer_name.endswith("a;a+b;")
    assert [("a", 0.5), ("a", 1.0)] == first.made
    assert [("a+b", 0.5), ("a+b", 1.0)] == second.made


@pytest.mark.parametrize(
    ("of_base", "own", "told"),
    [
        pytest.param(0.25, None, 0.25, id="what was spent on the base, in whole epochs"),
        pytest.param(0.25, 0.5, 0.5, id="its own, where it tells of one"),
        pytest.param(None, None, None, id="nothing, where neither tells of one"),
    ],
)
def test_the_effort_of_what_is_made_of_a_base(
    tmp_path: Path, of_base: float | None, own: float | None, told: float | None
) -> None:
    here = workshop(tmp_path, None, Doubling("a", of_base), Doubling("b", own))
    _, _, both = here.plan(FACTS).candidates

    assert told == here.make(both, 0.1).effort
    assert told == here.make(both, 0.1).effort, "also when it is taken from what was made before"


def test_what_changes_a_network_does_not_change_the_source(tmp_path: Path) -> None:
    here = workshop(tmp_path, None, Doubling("a"))
    (candidate,) = here.plan(FACTS).candidates
    before = here.source()

    here.make(candidate, 1.0)

    assert before == here.source()


def numbered(count: int, seen: list[int]) -> Examples:
    """Rows whose first value is their number, doubled by perceive, which notes how many it got."""

    def perceive(raw: Any) -> dict[str, Any]:
        seen.append(len(raw["x"]))
        return {"x": raw["x"] * 2}

    rows = np.repeat(np.arange(count, dtype=np.float32)[:, None], 4, axis=1)
    parts = {part: np.arange(0) for part in Part} | {Part.TRAIN: np.arange(count)[::-1]}
    return Examples({"x": rows}, np.arange(count), parts, perceive)


def test_examples_come_in_the_order_of_their_part_and_are_perceived_in_pieces_once() -> None:
    seen: list[int] = []
    examples = numbered(600, seen)

    few = examples.inputs(Part.TRAIN, 3)["x"][:, 0]
    whole = examples.inputs(Part.TRAIN)["x"][:, 0]
    examples.inputs(Part.TRAIN, 10)

    assert [1198, 1196, 1194] == few.tolist()
    assert 600 == len(whole)
    assert [3, 256, 256, 88] == seen
    labels = examples.labels(Part.TRAIN, 2)
    assert labels is not None
    assert [599, 598] == labels.tolist()


def test_the_teacher_is_the_source_itself(tmp_path: Path) -> None:
    here = workshop(tmp_path, numbered(5, []))

    (answers,) = here.teacher(Part.TRAIN, 2)

    assert [16.0, 12.0] == answers[:, 0].tolist()
    assert 0.5 == here.drop(here.source(), 10)


@pytest.mark.parametrize("ask", ["inputs", "labels", "teacher"])
def test_without_a_data_set_its_examples_cannot_be_had(tmp_path: Path, ask: str) -> None:
    with pytest.raises(OptimisationError, match=r"spec\.build\.dataset"):
        getattr(workshop(tmp_path, None), ask)(Part.TRAIN)


def test_an_onnx_source_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(OptimisationError, match="the source is ONNX"):
        workshop(tmp_path, None).program()
    with pytest.raises(OptimisationError, match="student"):
        workshop(tmp_path, None).student()
