"""The source untouched, and its graph optimised with operators that older runtimes have."""

import pytest
from onnx import ModelProto

from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.fp32 import OPTIMISED, Fp32, _check_known
from dlagent.domain.search.candidate import SOURCE, Precision
from tests.unit.build.optimisations.quantise_workshop import (
    QuantiseWorkshop,
    attention,
    candidate,
    convolutions,
    domains,
    first_axis,
    planned,
    products,
)

OPTIMISATION = Fp32()


@pytest.mark.parametrize("precision", [None, *Precision])
def test_it_is_planned_always_since_others_are_compared_with_it(
    precision: Precision | None,
) -> None:
    assert [SOURCE, OPTIMISED] == planned(OPTIMISATION, products(), precision=precision)


def test_the_source_is_left_as_it_is() -> None:
    model = convolutions()
    made = QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, model, SOURCE))
    assert model == made.model


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(products(), id="matrix products"),
        pytest.param(attention(), id="a transformer's layer"),
    ],
)
def test_the_optimised_graph_gives_the_same_answers_with_fewer_nodes(model: ModelProto) -> None:
    workshop = QuantiseWorkshop(model)
    made = workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, OPTIMISED))
    assert workshop.error(made.model) < 1e-5
    assert len(made.model.graph.node) < len(model.graph.node)
    assert domains(made.model) <= {"", "com.microsoft"}
    assert {"batch"} == first_axis(made.model)
    assert model.graph.input == made.model.graph.input
    before, after = sum(operator_counts(model).values()), len(made.model.graph.node)
    assert {"graph": f"{after} nodes instead of {before}"} == made.notes


def test_an_operator_that_older_runtimes_lack_is_refused() -> None:
    with pytest.raises(OptimisationError, match=r"lack: com\.microsoft::NhwcFusedConv$"):
        _check_known(
            {}, {"Conv": 1, "com.microsoft::FusedConv": 1, "com.microsoft::NhwcFusedConv": 1}
        )


def test_an_operator_that_the_source_has_is_no_news() -> None:
    _check_known({"com.microsoft::NhwcFusedConv": 1}, {"com.microsoft::NhwcFusedConv": 1})
