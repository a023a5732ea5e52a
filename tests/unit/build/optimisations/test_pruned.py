import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.pruned import Pruned
from dlagent.build.runtime import Session
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Precision
from tests.unit.build.optimisations.networks import exported, pictures, plain_cnn
from tests.unit.build.optimisations.prune_workshop import PruneWorkshop

FACTS = Facts(
    operators={"Conv": 5, "Relu": 6, "Gemm": 2},
    trainable=True,
    has_student=False,
    train_examples=40_000,
    calibrate_examples=2_000,
    labelled=True,
    instruction_set="avx512_vnni",
    accelerator="cpu",
    precision=None,
    channels_percent=None,
    epochs=6,
)


def facts(**changes: Any) -> Facts:
    return dataclasses.replace(FACTS, **changes)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param(facts(), ["pruned-25", "pruned-50", "pruned-75"], id="several strengths"),
        pytest.param(facts(channels_percent=40), ["pruned-40"], id="the one that is given"),
        pytest.param(
            facts(labelled=False, operators={"MatMul": 6}, train_examples=1000),
            ["pruned-25", "pruned-50", "pruned-75"],
            id="without labels, of linear layers, with just enough examples",
        ),
        pytest.param(
            facts(precision=Precision.INT8),
            ["pruned-25", "pruned-50", "pruned-75"],
            id="as a base where only INT8 may serve",
        ),
    ],
)
def test_what_is_planned(given: Facts, names: list[str]) -> None:
    plan = Pruned().plan(given, [])

    assert names == [candidate.name for candidate in plan.candidates]
    assert () == plan.skipped


def test_each_strength_names_the_next_one_which_is_never_slower() -> None:
    candidates = Pruned().plan(facts(), []).candidates

    assert [("pruned-25", "pruned-50"), ("pruned-50", "pruned-75"), ("pruned-75", None)] == [
        (candidate.name, candidate.smaller) for candidate in candidates
    ]


def test_a_planned_candidate_says_all_that_decides_its_bytes() -> None:
    expected = Candidate(
        name="pruned-40",
        optimisation="pruned",
        precision=Precision.FP32,
        options={"channelsPercent": 40, "epochs": 6},
        trained=True,
    )

    assert (expected,) == Pruned().plan(facts(channels_percent=40), []).candidates


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(
            facts(channels_percent=0), "spec.build.prune.channelsPercent is 0", id="forbidden"
        ),
        pytest.param(
            facts(trainable=False),
            "the source is ONNX, and only an ExportedProgram (.pt2) can be pruned and trained",
            id="ONNX",
        ),
        pytest.param(
            facts(operators={"Gemm": 1, "Add": 9}),
            "the network has no hidden layer whose channels could be removed",
            id="one layer",
        ),
        pytest.param(
            facts(train_examples=0),
            "it is trained after it was made smaller: set spec.build.dataset",
            id="no data set",
        ),
        pytest.param(
            facts(train_examples=999),
            "training needs at least 1000 examples, and spec.build.dataset has 999 for it",
            id="too few examples",
        ),
    ],
)
def test_why_it_is_skipped(given: Facts, reason: str) -> None:
    plan = Pruned().plan(given, [])

    assert () == plan.candidates
    assert [("pruned", reason)] == [(skipped.name, skipped.reason) for skipped in plan.skipped]


def program(*, free_batch: bool = True) -> torch.export.ExportedProgram:
    torch.manual_seed(5)
    return exported(plain_cnn(), pictures(2), free_batch=free_batch)


@pytest.fixture(scope="module")
def workshop() -> PruneWorkshop:
    return PruneWorkshop(program, {"x": pictures(300)[0].numpy()})


def candidate(percent: int = 50, epochs: int = 2) -> Candidate:
    return Candidate(
        name=f"pruned-{percent}",
        optimisation="pruned",
        precision=Precision.FP32,
        options={"channelsPercent": percent, "epochs": epochs},
    )


def dimensions(model: ModelProto) -> list[list[int]]:
    return [list(t.dims) for t in model.graph.initializer if len(t.dims) > 1]


def ports(model: ModelProto) -> list[bytes]:
    values = [*model.graph.input, *model.graph.output]
    return [value.SerializeToString(deterministic=True) for value in values]


def test_a_pruned_network_is_smaller_and_has_the_same_interface(workshop: PruneWorkshop) -> None:
    made = Pruned().make(candidate(), workshop, 1)

    assert ports(workshop.source()) == ports(made.model)
    assert [[16, 3, 3, 3], [32, 16, 3, 3], [16, 512], [5, 16]] == dimensions(made.model)
    assert {"parameters": "13,429", "epochs": "2 of 2, best after 2"} == made.notes
    session = Session(made.model.SerializeToString())
    (name,) = [tensor.name for tensor in workshop.source().graph.input]
    (found,) = session.run({name: workshop.inputs(Part.TRAIN)["x"]}).values()
    assert workshop.teacher(Part.TRAIN)[0].shape == found.shape
    assert np.isfinite(found).all()


def test_an_estimate_before_changes_no_byte(workshop: PruneWorkshop) -> None:
    estimated, fresh = Pruned(), Pruned()

    estimate = estimated.make(candidate(), workshop, 0.5)
    after = estimated.make(candidate(), workshop, 1)
    at_once = fresh.make(candidate(), workshop, 1)

    assert at_once.model.SerializeToString() == after.model.SerializeToString()
    assert estimate.model.SerializeToString() != after.model.SerializeToString()


def test_a_program_with_a_fixed_batch_is_refused() -> None:
    fixed = PruneWorkshop(lambda: program(free_batch=False), {"x": pictures(2)[0].numpy()})

    with pytest.raises(OptimisationError, match="export it with dynamic_shapes"):
        Pruned().make(candidate(), fixed, 1)
