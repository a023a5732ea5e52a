"""Fusion where the graph looks like a transformer, and where something is found to fuse."""

import pytest
from onnx import ModelProto, helper

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.transformer import FUSED, Fusion
from dlagent.domain.search.candidate import Precision
from tests.unit.build.optimisations.quantise_workshop import (
    QuantiseWorkshop,
    attention,
    candidate,
    convolutions,
    domains,
    first_axis,
    planned,
    products,
    reasons,
)

OPTIMISATION = Fusion()


@pytest.mark.parametrize(
    "precision", [pytest.param(None, id="all"), pytest.param(Precision.INT8, id="for INT8")]
)
def test_a_transformer_is_fused(precision: Precision | None) -> None:
    assert [FUSED] == planned(OPTIMISATION, attention(), precision=precision)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(products(), id="matrix products"),
    ],
)
def test_other_networks_are_not(model: ModelProto) -> None:
    assert [] == planned(OPTIMISATION, model)
    assert "no transformer" in reasons(OPTIMISATION, model)[FUSED]


def test_attention_becomes_one_operator_with_the_same_answers() -> None:
    model = attention()
    workshop = QuantiseWorkshop(model)
    made = workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, FUSED))
    assert {"fused": "1 Attention, 1 BiasGelu, 2 SkipLayerNormalization"} == made.notes
    assert workshop.error(made.model) < 1e-5
    assert {"", "com.microsoft"} == domains(made.model)
    assert {"batch"} == first_axis(made.model)
    assert model.graph.input == made.model.graph.input


def test_a_graph_with_nothing_to_fuse_is_refused_with_the_reason() -> None:
    model = products()
    fused = candidate(OPTIMISATION, attention(), FUSED)
    with pytest.raises(OptimisationError, match="nothing to fuse"):
        QuantiseWorkshop(model).make(OPTIMISATION, fused)


def test_a_graph_that_the_library_refuses_is_an_error_of_the_candidate_only() -> None:
    model = attention()
    model.graph.node.append(helper.make_node("NoSuchOperator", ["x"], ["z"], "broken"))
    with pytest.raises(
        OptimisationError, match=r"^onnxruntime\.transformers refuses the network: "
    ):
        QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, attention(), FUSED))
