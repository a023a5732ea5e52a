from typing import Any

import pytest
from onnx import TensorProto, helper

from dlagent.build.optimisations.trained import Port, Trainings, port_of
from tests.unit.build.optimisations.test_pruned import candidate


class Build:
    """Stands for a workshop: trainings are kept by its identity alone."""


class Begun:
    """Stands for a training."""


def test_a_training_goes_on_within_a_build_and_starts_anew_in_the_next() -> None:
    trainings, build, next_build = Trainings(), Build(), Build()

    def training(percent: int, workshop: Any) -> Any:
        return trainings.of(candidate(percent), workshop, Begun)  # type: ignore[arg-type]  # a stand-in

    first = training(50, build)
    assert training(50, build) is first
    assert training(75, build) is not first
    assert training(50, build) is first
    assert training(50, next_build) is not first
    assert training(50, build) is not first


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 3]),
            "int64 [?, 3]",
            id="a free axis",
        ),
        pytest.param(
            helper.make_tensor_value_info("x", TensorProto.FLOAT16, []),
            "float16 []",
            id="one value",
        ),
    ],
)
def test_a_port_reads_as_type_and_shape(value: Any, expected: str) -> None:
    assert expected == str(port_of(value))


def test_free_axes_are_alike_whatever_their_names() -> None:
    named = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["anything"])

    assert Port("float32", (None,)) == port_of(named)
