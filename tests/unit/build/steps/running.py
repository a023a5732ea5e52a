"""What the tests of each step share: a step from its spec, and its operators in ONNX Runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ValueInfoProto, helper

from dlagent.api.types import ActStep, DataType, PerceiveStep, Tensor
from dlagent.build import chain
from dlagent.build.failure import BuildError
from dlagent.build.runtime import Session
from dlagent.build.steps import step_of
from dlagent.build.steps.base import GraphWriter
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES, golden_input

Array = NDArray[Any]
Json = dict[str, Any]
Made = list[tuple[str, str, list[int]]]  # name, type, shape
ROWS = 4
PERCEIVE = {PerceiveStep.model_fields[name].alias for name in PerceiveStep.model_fields}

each_batching = pytest.mark.parametrize(
    "batched", [pytest.param(True, id="batched"), pytest.param(False, id="not batched")]
)
# Where operators changed their form, the oldest that is taken, and the newest that Triton takes.
each_opset = pytest.mark.parametrize("opset", [11, 12, 13, 17, 18, 19, 21])


def tensor(data_type: str, *shape: int, name: str = "x") -> Tensor:
    return Tensor(name=name, data_type=DataType(data_type), shape=list(shape))


def steps(*raw: Json) -> chain.Steps:
    kinds = [PerceiveStep if set(each) <= PERCEIVE else ActStep for each in raw]
    return [step_of(kind.model_validate(each)) for kind, each in zip(kinds, raw, strict=True)]


def example(given: Tensor, batched: bool) -> Array:
    """Golden values of a tensor, ROWS of them where there is a batch axis."""
    shape = [*([ROWS] if batched else []), *given.shape]
    return golden_input("steps", given.model_copy(update={"shape": shape}))


def check(
    raw: tuple[Json, ...],
    given: Tensor,
    made: Made,
    batched: bool,
    value: Array | None = None,
    opset: int = 18,
    mask: tuple[Tensor, Array] | None = None,
    atol: float = 0.0,
) -> list[Array]:
    """The steps make these tensors, and their operators the numbers of their reference.

    Returns what the operators made.
    """
    tested = steps(*raw)
    fed = example(given, batched) if value is None else value
    masks = {} if mask is None else {mask[0].name: mask}
    shapes = {name: each for name, (each, _) in masks.items()}

    out = chain.tensors_through(tested, given, shapes)
    assert made == [(t.name, t.data_type, t.shape) for t in out]
    arrays = {name: array for name, (_, array) in masks.items()}
    wanted = chain.reference(tested, fed, batched, arrays).values
    seen = run_operators(tested, given, out, {given.name: fed, **arrays}, shapes, batched, opset)

    assert len(made) == len(wanted) == len(seen)
    for described, one, other in zip(out, wanted, seen, strict=True):
        front = [fed.shape[0]] if batched else []
        assert [*front, *described.shape] == list(one.shape) == list(other.shape)
        assert NUMPY_TYPES[described.data_type] == one.dtype == other.dtype
        assert_close(one, other, atol)
    return seen


def assert_close(wanted: Array, seen: Array, atol: float = 0.0) -> None:
    if wanted.dtype.kind == "f":
        relative = 1e-5 if wanted.dtype.itemsize > 2 else 1e-3
        np.testing.assert_allclose(seen, wanted, rtol=relative, atol=atol)
    else:
        np.testing.assert_array_equal(seen, wanted)


def run_operators(
    tested: chain.Steps,
    given: Tensor,
    out: list[Tensor],
    feed: Mapping[str, Array],
    masks: Mapping[str, Tensor],
    batched: bool,
    opset: int,
) -> list[Array]:
    graph = GraphWriter("test", batched, opset)
    inputs = {name: (name, mask) for name, mask in masks.items()}
    names = chain.write(graph, tested, given.name, given, inputs)
    joins = [helper.make_node("Identity", [name], [f"y{i}"]) for i, name in enumerate(names)]
    model = helper.make_model(
        helper.make_graph(
            [*graph.nodes, *joins],
            "test",
            [_described(each.name, each, batched) for each in (given, *masks.values())],
            [_described(f"y{i}", each, batched) for i, each in enumerate(out)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    answers = Session(model.SerializeToString()).run(feed)
    return [answers[f"y{i}"] for i in range(len(names))]


def _described(name: str, described: Tensor, batched: bool) -> ValueInfoProto:
    axes: list[Any] = ["batch"] if batched else []
    axes += [f"{name}_{at}" if size == -1 else size for at, size in enumerate(described.shape)]
    element = helper.np_dtype_to_tensor_dtype(NUMPY_TYPES[described.data_type])
    return helper.make_tensor_value_info(name, element, axes)


def assert_refused(
    raw: tuple[Json, ...], given: Tensor, why: str, inputs: Mapping[str, Tensor] | None = None
) -> None:
    """The last of the steps does not take such a tensor, says why, and is named."""
    with pytest.raises(BuildError, match=why) as refusal:
        chain.tensors_through(steps(*raw), given, inputs or {})

    assert "ShapeMismatch" == refusal.value.reason
    assert f"the step {next(iter(raw[-1]))} " in refusal.value.message
