"""What a perceive or act step is: shapes, standard ONNX operators, and the same in numpy.

A step is one module with one class; the registry in `dlagent.build.steps` knows them all. Shapes
here are without the batch axis; `GraphWriter.batched` and the `batched` of `reference` say whether
the values have one in front.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from dlagent.api.types import DataType, Tensor
from dlagent.build.failure import BuildError
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES
from dlagent.domain.artifact.summary import FailureReason

Array = NDArray[Any]


class GraphWriter:
    """Collects the nodes and constants of steps, under names of their own."""

    def __init__(self, prefix: str, batched: bool) -> None:
        self.batched = batched
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
        self, operator: str, inputs: Sequence[str], outputs: int = 1, **attributes: int | list[int]
    ) -> list[str]:
        number = len(self.nodes)
        names = [f"{self._prefix}/{operator.lower()}_{number}_{i}" for i in range(outputs)]
        node = helper.make_node(
            operator, list(inputs), names, f"{self._prefix}/{operator.lower()}_{number}"
        )
        node.attribute.extend(helper.make_attribute(*item) for item in sorted(attributes.items()))
        self.nodes.append(node)
        return names


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


def mismatch(step: str, given: Tensor, why: str) -> BuildError:
    """A step that cannot take this tensor."""
    return BuildError(
        FailureReason.SHAPE_MISMATCH,
        f"the step {step} gets {given.data_type} {given.shape}: {why}",
    )


def is_float(data_type: DataType) -> bool:
    return NUMPY_TYPES[data_type].kind == "f"


def arithmetic_type(data_type: DataType) -> DataType:
    """What the numbers of a step are computed in: floats as they are, all else as FP32."""
    return data_type if is_float(data_type) else DataType.FP32


def as_float(graph: GraphWriter, value: str, given: Tensor) -> str:
    """The value in its arithmetic type."""
    if is_float(given.data_type):
        return value
    return graph.node("Cast", [value], to=TensorProto.FLOAT)[0]


def example_axes(value: Array, batched: bool) -> tuple[int, ...]:
    """The axes of one example, by number."""
    return tuple(range(1 if batched else 0, value.ndim))
