"""Ranges found in small portions are those of all examples at once."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.tools.symbolic_shape_infer import (  # type: ignore[import-untyped]  # no types
    SymbolicShapeInference,
)

from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.calibration import ranges
from dlagent.build.optimisations.quantise import prepare
from dlagent.build.runtime import Array, Session
from dlagent.domain.data.split import Part
from tests.unit.build.optimisations.quantise_workshop import (
    WIDTH,
    QuantiseWorkshop,
    attention,
    convolutions,
    products,
)

METHODS = ["MinMax", "Entropy", "Percentile"]
INPUTS = QuantiseWorkshop(convolutions()).inputs(Part.CALIBRATE)


def found(folder: Path, inputs: dict[str, Array], method: str) -> dict[str, tuple[float, float]]:
    prepared = prepare(convolutions(), folder)
    tensors = ranges(prepared, inputs, method, ["Conv"])
    return {
        name: (float(np.squeeze(values.lowest)), float(np.squeeze(values.highest)))
        for name, values in tensors.items()
    }


def test_min_max_is_what_was_seen(tmp_path: Path) -> None:
    x = INPUTS["x"]
    assert (float(x.min()), float(x.max())) == found(tmp_path, INPUTS, "MinMax")["x"]


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_examples_does_not_matter(tmp_path: Path, method: str) -> None:
    """Nor does it matter that one portion's values are far smaller than the next one's."""
    small_first = INPUTS["x"].copy()
    small_first[:8] *= 1e-6
    forwards = found(tmp_path, {"x": small_first}, method)
    backwards = found(tmp_path, {"x": small_first[::-1].copy()}, method)
    assert forwards == backwards


@pytest.mark.parametrize(("method", "limit"), [("Entropy", 18), ("Percentile", 2.1)])
def test_rare_values_are_clipped(tmp_path: Path, method: str, limit: float) -> None:
    x = np.clip(np.random.default_rng(0).standard_normal([400, 1, 8, 8]), -2, 2).astype(np.float32)
    x[0, 0, 0, 0] = 20  # one value of 25,600
    low, high = found(tmp_path, {"x": x}, method)["x"]
    assert pytest.approx(-2, abs=0.1) == low
    assert 1.9 < high < limit


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_is_always_zero_has_a_range(tmp_path: Path, method: str) -> None:
    assert (0, 0) == pytest.approx(found(tmp_path, {"x": INPUTS["x"] * 0}, method)["x"], abs=1e-2)


def test_an_example_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    x = INPUTS["x"].copy()
    x[3] = np.inf
    with pytest.raises(OptimisationError, match=r"the tensor .* is not finite"):
        found(tmp_path, {"x": x}, "MinMax")


def test_nodes_get_names_and_keep_their_answers(tmp_path: Path) -> None:
    model = products(layers=3)
    prepared = prepare(model, tmp_path)
    session = Session(prepared.read_bytes())
    feed = QuantiseWorkshop(model).inputs(Part.SELECT)
    expected = Session(model.SerializeToString()).run(feed)
    np.testing.assert_allclose(expected["y"], session.run(feed)["y"], rtol=1e-5, atol=1e-6)
    assert all(node.name for node in onnx.load(prepared).graph.node)


def test_shapes_that_are_not_found_in_symbols_are_no_obstacle(tmp_path: Path) -> None:
    """Embeddings of positions: 512 rows, cut to the length of the sequence."""
    model = attention()
    positions = np.random.default_rng(0).standard_normal([1, 512, WIDTH]).astype(np.float32)
    constants = {"positions": positions, "begin": np.array([0]), "axis": np.array([1])}
    for name, values in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    nodes = list(model.graph.node)
    for node in nodes:
        for at, name in enumerate(node.input):
            node.input[at] = "placed" if name == "x" else name
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["x"], ["length"], "shape", start=1, end=2),
            helper.make_node("Slice", ["positions", "begin", "length", "axis"], ["cut"], "cut"),
            helper.make_node("Add", ["x", "cut"], ["placed"], "place"),
            *nodes,
        ]
    )
    with pytest.raises(Exception, match="Incomplete symbolic shape inference"):
        SymbolicShapeInference.infer_shapes(model)
    feed = QuantiseWorkshop(model).inputs(Part.SELECT)
    expected = Session(model.SerializeToString()).run(feed)
    session = Session(prepare(model, tmp_path).read_bytes())
    np.testing.assert_allclose(expected["y"], session.run(feed)["y"], rtol=1e-4, atol=1e-5)
