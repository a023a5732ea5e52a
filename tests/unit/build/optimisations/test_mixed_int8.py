"""Which layers stay in FP32: found by measuring, as few as needed."""

from collections.abc import Sequence

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto

from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.mixed_int8 import NAME, Group, MixedInt8, groups, sensitive
from dlagent.build.optimisations.quantise import HEAVY
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

OPTIMISATION = MixedInt8()


def in_order(count: int) -> list[Group]:
    return [Group((f"layer{at}",), (f"layer{at}", f"relu{at}")) for at in range(count)]


class Losses:
    """A loss that is the sum of what each quantised layer costs."""

    def __init__(self, *costs: float) -> None:
        self.costs = costs
        self.asked = 0

    def __call__(self, excluded: Sequence[str]) -> float:
        self.asked += 1
        return sum(c for at, c in enumerate(self.costs) if f"layer{at}" not in excluded)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        pytest.param([0.0, 0.1, 0.0, 0.0], ["layer1"], id="one layer costs all"),
        pytest.param([0.1, 0.0, 0.0, 0.2], ["layer3", "layer0"], id="two layers, the worst first"),
        pytest.param([0.0, 0.1, 0.02, 0.01], ["layer1"], id="a quarter of the loss may stay"),
        pytest.param([0.0, 0.05, -0.03, 0.0], ["layer1"], id="quantising may even help"),
    ],
)
def test_the_worst_layers_stay_in_fp32(costs: list[float], expected: list[str]) -> None:
    chosen = sensitive(in_order(4), Losses(*costs), noise=0.001)
    assert expected == [layer for group in chosen for layer in group.layers]


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        pytest.param([0.0, 0.0, 0.001, 0.0], "quantising everything costs nothing", id="no loss"),
        pytest.param([-0.1, 0.0, 0.0, 0.0], "quantising everything costs nothing", id="a gain"),
        pytest.param([0.1, 0.1, 0.1, 0.1], "2 of 4 groups", id="all layers cost the same"),
    ],
)
def test_where_that_does_not_help_the_message_says_so(costs: list[float], message: str) -> None:
    with pytest.raises(OptimisationError, match=message):
        sensitive(in_order(4), Losses(*costs), noise=0.001)


def test_nothing_more_is_tried_where_nothing_is_lost() -> None:
    losses = Losses(0.0, 0.0)
    with pytest.raises(OptimisationError):
        sensitive(in_order(2), losses, noise=0.001)
    assert 1 == losses.asked


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=2, max_size=12))
def test_what_is_left_of_the_loss_is_at_most_a_quarter(costs: list[float]) -> None:
    losses = Losses(*costs)
    try:
        chosen = sensitive(in_order(len(costs)), losses, noise=0.001)
    except OptimisationError:
        return
    assert 1 <= len(chosen) <= len(costs) / 2
    left = losses([node for group in chosen for node in group.nodes])
    assert left <= max(0.001, sum(costs) / 4)


@given(st.integers(min_value=1, max_value=40))
def test_groups_hold_every_node_once_and_as_many_layers_each(layers: int) -> None:
    model = products(layers)
    for at, node in enumerate(model.graph.node):
        node.name = f"node{at}"
    found = groups(model)
    assert [node.name for node in model.graph.node] == [n for group in found for n in group.nodes]
    sizes = {len(group.layers) for group in found}
    assert min(layers, 12) == len(found)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        pytest.param(convolutions(), {"calibrate_examples": 0}, "spec.build.dataset", id="no data"),
        pytest.param(convolutions(), {"precision": Precision.FP32}, "FP32 only", id="FP32 only"),
        pytest.param(products(layers=1), {}, "one layer", id="nothing to choose from"),
        pytest.param(
            convolutions(),
            {"accelerator": "nvidia.com/gpu"},
            "TensorRT takes symmetric ones only",
            id="an accelerator",
        ),
    ],
)
def test_what_cannot_be_is_skipped_with_the_reason(
    model: ModelProto, changes: dict[str, object], reason: str
) -> None:
    assert [] == planned(OPTIMISATION, model, **changes)
    assert reason in reasons(OPTIMISATION, model, **changes)[NAME]


def quantised_layers(model: ModelProto) -> set[str]:
    """The layers whose weights come out of a DequantizeLinear."""
    made = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {n.name for n in model.graph.node if n.op_type in HEAVY and n.input[1] in made}


def test_the_layer_that_costs_accuracy_stays_in_fp32() -> None:
    """The loss is 0.5 with conv1 quantised, and 0.1 with the last layer quantised."""
    model = convolutions()

    def drop(tried: ModelProto, limit: int) -> float:
        layers = quantised_layers(tried)
        return 0.5 * ("conv1" in layers) + 0.1 * ("gemm" in layers)

    workshop = QuantiseWorkshop(model, drop)
    made = workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, NAME))
    assert {"in FP32": "conv1"} == made.notes
    assert {"conv2", "gemm"} == quantised_layers(made.model)
    assert 0 < workshop.error(made.model) < 0.1
    assert {""} == domains(made.model)
    assert {"batch"} == first_axis(made.model)
    onnx.checker.check_model(made.model, full_check=True)


@pytest.mark.parametrize(("effort", "examples", "judged"), [(1.0, 512, 1000), (0.1, 51, 100)])
def test_less_effort_reads_and_judges_fewer_examples(
    effort: float, examples: int, judged: int
) -> None:
    model = attention()
    seen: list[int] = []

    def drop(tried: ModelProto, limit: int) -> float:
        seen.append(limit)
        return 0.0

    workshop = QuantiseWorkshop(model, drop)
    with pytest.raises(OptimisationError, match="costs nothing: 0 lost"):
        workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, NAME), effort)
    assert [examples] == workshop.limits
    assert [judged] == seen
    assert "QuantizeLinear" not in operator_counts(model)


def test_an_error_of_the_judge_is_not_taken_for_one_of_the_library() -> None:
    model = convolutions()

    def drop(tried: ModelProto, limit: int) -> float:
        raise KeyError("of the judge")

    with pytest.raises(KeyError, match="of the judge"):
        QuantiseWorkshop(model, drop).make(OPTIMISATION, candidate(OPTIMISATION, model, NAME))
