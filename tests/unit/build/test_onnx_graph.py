"""Counting operators, and leaving nothing in a graph but what decides its answers."""

from collections.abc import Callable

import onnx
from onnx import ModelProto, TensorProto, helper

from dlagent.build.onnx_graph import finished, operator_counts

MakeModel = Callable[..., ModelProto]


def branch(name: str, operator: str) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node(operator, ["x"], [name])], name, [], [output])


def test_operators_of_inner_graphs_count_and_foreign_ones_have_their_domain(
    make_model: MakeModel,
) -> None:
    model = make_model(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node(
                "If", ["c"], ["i"], then_branch=branch("t", "Relu"), else_branch=branch("e", "Abs")
            ),
            helper.make_node("Gelu", ["i"], ["y"], domain="com.microsoft"),
        ],
        {"x": ["batch", 4], "c": []},
        {"y": ["batch", 4]},
        types={"c": TensorProto.BOOL},
    )
    assert {"Abs": 1, "If": 1, "Relu": 2, "com.microsoft::Gelu": 1} == operator_counts(model)


def test_a_finished_model_has_the_interface_of_another_and_what_it_uses_only(
    make_model: MakeModel,
) -> None:
    like = make_model(
        [helper.make_node("Relu", ["x"], ["y"])], {"x": ["rows", 4]}, {"y": ["rows", 4]}
    )
    changed = make_model(
        [
            helper.make_node("Gelu", ["x"], ["g"], "at /tmp/here", domain="com.microsoft"),
            helper.make_node("Relu", ["g"], ["y"]),
        ],
        {"x": ["unk__0", 4]},
        {"y": [None, 4]},
    )
    changed.opset_import.extend(
        [helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("org.pytorch.aten", 1)]
    )
    changed.ir_version = 12
    helper.set_model_props(changed, {"made": "just now"})
    model = finished(changed, like)
    assert list(like.graph.input) == list(model.graph.input)
    assert list(like.graph.output) == list(model.graph.output)
    assert [("", 18), ("com.microsoft", 1)] == [(o.domain, o.version) for o in model.opset_import]
    assert (10, "dlagent", []) == (
        model.ir_version,
        model.producer_name,
        list(model.metadata_props),
    )
