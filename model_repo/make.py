"""Makes this folder's artifact: a network small enough to read, through `dlagent build`.

    python model_repo/make.py [OUT]

The network says which quarter of a grey 8x8 picture is the brightest. Its weights follow from the
geometry, so nothing here is trained, downloaded or random.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
SIDE = 8
QUARTERS = 4


def network() -> bytes:
    """ONNX: a picture [1, 8, 8] to the mean brightness of each quarter, less that of the whole."""
    rows, columns = np.indices((SIDE, SIDE))
    quarter = 2 * (rows >= SIDE // 2) + (columns >= SIDE // 2)
    pixels = SIDE * SIDE
    means = np.stack([(quarter == q).reshape(pixels) for q in range(QUARTERS)], axis=1)
    weights = (means * QUARTERS - 1).astype(np.float32) / np.float32(pixels / 16)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["picture"], ["pixels"], axis=1),
            helper.make_node("MatMul", ["pixels", "weights"], ["scores"]),
        ],
        "brightest-quarter",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", QUARTERS])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def make(out: Path) -> None:
    """Build the artifact of agent.yaml into `out`."""
    from dlagent.cli.build import build  # network() alone must not need it

    with tempfile.TemporaryDirectory() as volumes:
        claim = Path(volumes) / "models"
        claim.mkdir()
        (claim / "brightest-quarter.onnx").write_bytes(network())
        build(out=out, agent=HERE / "agent.yaml", source_root=Path(volumes))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
