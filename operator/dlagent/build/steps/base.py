"""What a perceive or act step is: shapes, standard ONNX operators, and the same in numpy.

A step is one module with one class; the registry in `dlagent.build.steps` knows them all. Shapes
here are without the batch axis; `GraphWriter.batched` and the `batched` of `reference` say whether
the values have one in front.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from dlagent.api.types import DataType, Tensor
from dlagent.build.failure import BuildError
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES
from dlagent.domain.artifact.summary import FailureReason

Array = NDArray[Any]

# The opset from which on a reduction takes its axes as an input, before it as an attribute.
_AXES_ARE_AN_INPUT = {"ReduceSum": 13, "ReduceL2": 18}


class GraphWriter:
    """Collects the nodes and constants of steps, under names of their own, for one opset."""

    def __init__(self, prefix: str, batched: bool, opset: int) -> None:
        self.batched = batched
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = prefix

    def constant(self, value: Array) -> str:
        name = f"{self._prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def shape(self, example: Sequence[int]) -> str:
        """A shape as Reshape wants it; 0 copies the batch axis."""
        return self.constant(np.asarray([*([0] if self.batched else []), *example], np.int64))

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int = 1,
        **attributes: int | str | list[int],
    ) -> list[str]:
        number = len(self.nodes)
        names = [f"{self._prefix}/{operator.lower()}_{number}_{i}" for i in range(outputs)]
        node = helper.make_node(
            operator, list(inputs), names, f"{self._prefix}/{operator.lower()}_{number}"
        )
        node.attribute.extend(helper.make_attribute(*item) for item in sorted(attributes.items()))
        self.nodes.append(node)
        return names

    def cast(self, value: str, given: DataType, wanted: DataType) -> str:
        """The value in another type; no operator where it has that type."""
        if given == wanted:
            return value
        element = helper.np_dtype_to_tensor_dtype(NUMPY_TYPES[wanted])
        return self.node("Cast", [value], to=element)[0]

    def with_last_axis(self, value: str, given: Tensor) -> str:
        """The value with one more axis, of length 1, at the end."""
        copied = [0] * (len(given.shape) + int(self.batched))
        return self.node("Reshape", [value, self.constant(np.asarray([*copied, 1], np.int64))])[0]

    def reduce(self, operator: str, value: str, axis: int, keep_axis: bool) -> str:
        """ReduceSum or ReduceL2 over one axis, counted from the end: -1 is the last."""
        if self.opset < _AXES_ARE_AN_INPUT[operator]:
            return self.node(operator, [value], axes=[axis], keepdims=int(keep_axis))[0]
        axes = self.constant(np.asarray([axis], np.int64))
        return self.node(operator, [value, axes], keepdims=int(keep_axis))[0]


class Indices(Tensor):
    """What argmax and topK make: indices into an axis of `size` places, -1 where it is free."""

    size: int


class Step(Protocol):
    """One step with its numbers."""

    name: str

    def outputs(self, given: Tensor) -> list[Tensor]:
        """What the step makes of such a tensor. Raises BuildError: ShapeMismatch."""
        ...

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        """Append the step's operators; the names of what they make."""
        ...

    def reference(self, value: Array, batched: bool) -> list[Array]:
        """The same in numpy, against which the operators are checked."""
        ...


@runtime_checkable
class MaskedStep(Protocol):
    """A step that also reads the agent's input named `mask`, as the network gets it."""

    name: str
    mask: str

    def outputs(self, given: Tensor, mask: Tensor) -> list[Tensor]:
        """What the step makes of such tensors. Raises BuildError: ShapeMismatch."""
        ...

    def write(
        self, graph: GraphWriter, value: str, given: Tensor, mask_value: str, mask: Tensor
    ) -> list[str]:
        """Append the step's operators; the names of what they make."""
        ...

    def reference(self, value: Array, mask: Array, batched: bool) -> list[Array]:
        """The same in numpy, against which the operators are checked."""
        ...


@runtime_checkable
class Choice(Protocol):
    """A step whose answer jumps with its input: an index, a name, a truth value."""

    def compared(self, scores: Array, answer: Array) -> tuple[Array, Array]:
        """The scores that `answer` stands for, and those that a right answer stands for.

        `scores` are the floats that were chosen from. So an answer that differs only because two
        scores are as good as each other is told from a wrong one.
        """
        ...


def mismatch(step: str, given: Tensor, why: str) -> BuildError:
    """A step that cannot take this tensor."""
    return BuildError(
        FailureReason.SHAPE_MISMATCH,
        f"the step {step} gets {given.data_type} {given.shape}: {why}",
    )


def is_float(data_type: DataType) -> bool:
    return NUMPY_TYPES[data_type].kind == "f"


def require_floats(step: str, given: Tensor) -> None:
    """Raises BuildError: ShapeMismatch."""
    _refuse_indices(step, given)
    if not is_float(given.data_type) or not given.shape:
        raise mismatch(step, given, "it needs floats with at least one axis")


def require_numbers(step: str, given: Tensor) -> None:
    """Raises BuildError: ShapeMismatch."""
    _refuse_indices(step, given)
    if NUMPY_TYPES[given.data_type].kind not in "iuf" or not given.shape:
        raise mismatch(step, given, "it needs numbers with at least one axis")


def _refuse_indices(step: str, given: Tensor) -> None:
    if isinstance(given, Indices):
        raise mismatch(step, given, "it cannot follow argmax or topK, only labels can")


def arithmetic_type(data_type: DataType) -> DataType:
    """What the numbers of a step are computed in: floats as they are, all else as FP32."""
    return data_type if is_float(data_type) else DataType.FP32


def summing_type(data_type: DataType) -> DataType:
    """What sums of floats are computed in: FP16 would overflow, and round an epsilon to 0."""
    return DataType.FP64 if data_type == DataType.FP64 else DataType.FP32


def as_float(graph: GraphWriter, value: str, given: Tensor) -> str:
    """The value in its arithmetic type."""
    return graph.cast(value, given.data_type, arithmetic_type(given.data_type))
