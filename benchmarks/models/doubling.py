"""A model that costs next to nothing: what is measured is what is around it."""

import onnx
from onnx import TensorProto, helper


def doubling_model() -> bytes:
    """y = x + x over rows of four values."""
    shape: list[str | int | None] = ["batch", 4]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opsets = [helper.make_opsetid("", 18)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    content: bytes = model.SerializeToString()
    return content
