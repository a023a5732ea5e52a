"""Small networks with random weights, facts about them, and a workshop that holds one of them."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations.base import Made, Optimisation
from dlagent.build.runtime import Array, Session
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Precision

if TYPE_CHECKING:
    from torch.export import ExportedProgram

EXAMPLES = 40
WIDTH, HEADS, SEQUENCE = 32, 4, 6
PRUNED = Candidate(
    name="pruned-50",
    optimisation="pruned",
    precision=Precision.FP32,
    trained=True,
    smaller="pruned-75",
)

Drop = Callable[[ModelProto, int], float]


def facts(model: ModelProto, **changes: Any) -> Facts:
    """Of a network with a data set, on a CPU with VNNI, with nothing ruled out."""
    plain = Facts(
        operators=operator_counts(model),
        trainable=False,
        has_student=False,
        train_examples=EXAMPLES,
        calibrate_examples=EXAMPLES,
        labelled=True,
        instruction_set="avx512_vnni",
        accelerator="cpu",
        precision=None,
        channels_percent=None,
        epochs=1,
    )
    return dataclasses.replace(plain, **changes)


class QuantiseWorkshop:
    """One ONNX network, random inputs, and what was made of it."""

    def __init__(self, model: ModelProto, drop: Drop | None = None) -> None:
        self._model = model
        self._drop = drop
        self._made: dict[str, ModelProto] = {}
        self.limits: list[int | None] = []  # how many examples were asked for

    def source(self) -> ModelProto:
        copy = ModelProto()
        copy.CopyFrom(self._model)
        return copy

    def program(self) -> "ExportedProgram":
        raise NotImplementedError

    def student(self) -> "ExportedProgram":
        raise NotImplementedError

    def export(self, program: "ExportedProgram") -> ModelProto:
        raise NotImplementedError

    def inputs(self, part: Part, limit: int | None = None) -> dict[str, Array]:
        self.limits.append(limit)
        generator = np.random.default_rng(list(part.value.encode()))
        value = self._model.graph.input[0]
        batched, *shape = value.type.tensor_type.shape.dim
        sizes = [dim.dim_value or SEQUENCE for dim in shape]
        if batched.dim_value:
            sizes = [batched.dim_value, *sizes]
        values = generator.standard_normal([EXAMPLES, *sizes]).astype(np.float32)
        return {value.name: values[:limit]}

    def labels(self, part: Part, limit: int | None = None) -> Array | None:
        return None

    def teacher(self, part: Part, limit: int | None = None) -> list[Array]:
        return list(Session(self._model.SerializeToString()).run(self.inputs(part, limit)).values())

    def base(self, candidate: Candidate, effort: float) -> ModelProto:
        return self.source() if candidate.base is None else self._made[candidate.base]

    def drop(self, model: ModelProto, limit: int) -> float:
        assert self._drop is not None
        return self._drop(model, limit)

    def make(self, optimisation: Optimisation, candidate: Candidate, effort: float = 1.0) -> Made:
        made = optimisation.make(candidate, self, effort)
        self._made[candidate.name] = made.model
        return made

    def error(self, model: ModelProto) -> float:
        """The largest difference from the source, as a share of its largest answer."""
        feed = self.inputs(Part.SELECT)
        expected = self.teacher(Part.SELECT)[0]
        actual = next(iter(Session(model.SerializeToString()).run(feed).values()))
        return float(np.abs(actual - expected).max() / np.abs(expected).max())


def planned(optimisation: Optimisation, model: ModelProto, **changes: Any) -> list[str]:
    return [c.name for c in optimisation.plan(facts(model, **changes), ()).candidates]


def reasons(optimisation: Optimisation, model: ModelProto, **changes: Any) -> dict[str, str]:
    return {s.name: s.reason for s in optimisation.plan(facts(model, **changes), ()).skipped}


def candidate(
    optimisation: Optimisation, model: ModelProto, name: str, **changes: Any
) -> Candidate:
    found = optimisation.plan(facts(model, **changes), ()).candidates
    return next(c for c in found if c.name == name)


def domains(model: ModelProto) -> set[str]:
    return {opset.domain for opset in model.opset_import}


def first_axis(model: ModelProto) -> set[str]:
    """The names of the first axes of all inputs and outputs."""
    return {
        value.type.tensor_type.shape.dim[0].dim_param
        for value in (*model.graph.input, *model.graph.output)
    }


def convolutions(batch: str | int = "batch") -> ModelProto:
    """Two convolutions, pooling, a matrix product: [batch, 1, 8, 8] to [batch, 5]."""
    return _model(
        [
            helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
            helper.make_node(
                "MaxPool", ["r1"], ["p1"], "pool", kernel_shape=[2, 2], strides=[2, 2]
            ),
            helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
            helper.make_node("GlobalAveragePool", ["r2"], ["g"], "mean"),
            helper.make_node("Flatten", ["g"], ["f"], "flatten"),
            helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "gemm"),
        ],
        [batch, 1, 8, 8],
        [batch, 5],
        {"w1": [8, 1, 3, 3], "b1": [8], "w2": [16, 8, 3, 3], "b2": [16], "w3": [16, 5], "b3": [5]},
    )


def products(layers: int = 2) -> ModelProto:
    """Matrix products with Relu between them, nodes without names: [batch, 32] to the same."""
    nodes: list[NodeProto] = []
    weights: dict[str, list[int]] = {}
    value = "x"
    for at in range(layers):
        weights |= {f"w{at}": [WIDTH, WIDTH], f"b{at}": [WIDTH]}
        last = at == layers - 1
        nodes.append(
            helper.make_node("Gemm", [value, f"w{at}", f"b{at}"], ["y" if last else f"g{at}"])
        )
        if not last:
            nodes.append(helper.make_node("Relu", [f"g{at}"], [f"r{at}"]))
        value = f"r{at}"
    return _model(nodes, ["batch", WIDTH], ["batch", WIDTH], weights)


def attention() -> ModelProto:
    """One encoder layer as exporters write it: [batch, sequence, 32] to the same."""
    nodes = []
    for name in "qkv":
        nodes += [
            helper.make_node("MatMul", ["x", f"w_{name}"], [f"m_{name}"], f"matmul_{name}"),
            helper.make_node("Add", [f"b_{name}", f"m_{name}"], [f"a_{name}"], f"add_{name}"),
            helper.make_node("Reshape", [f"a_{name}", "split"], [f"s_{name}"], f"split_{name}"),
            helper.make_node(
                "Transpose",
                [f"s_{name}"],
                [name],
                f"transpose_{name}",
                perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3],
            ),
        ]
    nodes += [
        helper.make_node("MatMul", ["q", "k"], ["qk"], "matmul_qk"),
        helper.make_node("Div", ["qk", "root"], ["scaled"], "scale"),
        helper.make_node("Softmax", ["scaled"], ["weights"], "softmax", axis=-1),
        helper.make_node("MatMul", ["weights", "v"], ["heads"], "matmul_heads"),
        helper.make_node("Transpose", ["heads"], ["back"], "transpose_back", perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["back", "join"], ["joined"], "join"),
        helper.make_node("MatMul", ["joined", "w_o"], ["m_o"], "matmul_o"),
        helper.make_node("Add", ["b_o", "m_o"], ["o"], "add_o"),
        helper.make_node("Add", ["o", "x"], ["residual"], "residual"),
        helper.make_node("LayerNormalization", ["residual", "g1", "h1"], ["n"], "norm1"),
        helper.make_node("MatMul", ["n", "w_1"], ["m_1"], "matmul_1"),
        helper.make_node("Add", ["b_1", "m_1"], ["wide"], "add_1"),
        helper.make_node("Gelu", ["wide"], ["active"], "gelu"),
        helper.make_node("MatMul", ["active", "w_2"], ["m_2"], "matmul_2"),
        helper.make_node("Add", ["b_2", "m_2"], ["narrow"], "add_2"),
        helper.make_node("Add", ["narrow", "n"], ["residual2"], "residual2"),
        helper.make_node("LayerNormalization", ["residual2", "g2", "h2"], ["y"], "norm2"),
    ]
    weights = {f"w_{name}": [WIDTH, WIDTH] for name in "qkvo"}
    weights |= {f"b_{name}": [WIDTH] for name in "qkvo2"}
    weights |= {"w_1": [WIDTH, 2 * WIDTH], "b_1": [2 * WIDTH], "w_2": [2 * WIDTH, WIDTH]}
    weights |= {name: [WIDTH] for name in ("g1", "h1", "g2", "h2")}
    constants: dict[str, Array] = {
        "split": np.array([0, 0, HEADS, WIDTH // HEADS], np.int64),
        "join": np.array([0, 0, WIDTH], np.int64),
        "root": np.array((WIDTH / HEADS) ** 0.5, np.float32),
    }
    shape = ["batch", "sequence", WIDTH]
    return _model(nodes, shape, shape, weights, constants)


def _model(
    nodes: list[NodeProto],
    taken: list[Any],
    given: list[Any],
    weights: dict[str, list[int]],
    constants: dict[str, Array] | None = None,
) -> ModelProto:
    generator = np.random.default_rng(1)
    values = dict(constants or {})
    for name, shape in weights.items():
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
        values[name] = (generator.standard_normal(shape) / fan_in**0.5).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, given)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
