"""Small models with answers that can be worked out by hand, for the cluster tests."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES = 4


def scaling_model(factor: float, extra_bytes: int = 0) -> bytes:
    """ONNX for y = factor * x over rows of FEATURES values; `extra_bytes` makes the file larger."""
    weights = {"factor": np.asarray([factor], np.float32)}
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    if extra_bytes:
        # Kept alive by a node whose result is not used for anything but adding zero.
        weights["ballast"] = np.arange(extra_bytes // 4, dtype=np.float32)
        weights["zero"] = np.zeros(1, np.float32)
        nodes = [
            helper.make_node("ReduceMax", ["ballast"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
            helper.make_node("Mul", ["x", "factor"], ["product"]),
            helper.make_node("Add", ["product", "nothing"], ["y"]),
        ]
    graph = helper.make_graph(
        nodes,
        "scaling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", FEATURES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def custom_operator_model() -> bytes:
    """ONNX with an operator that no runtime knows."""
    model = onnx.load_model_from_string(scaling_model(2))
    model.graph.node[0].op_type = "Frobnicate"
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    data: bytes = model.SerializeToString()
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(folder: Path, name: str, data: bytes) -> str:
    """Put a model into a volume's folder; its digest."""
    target = folder / name
    temporary = target.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.rename(target)
    return sha256(data)
