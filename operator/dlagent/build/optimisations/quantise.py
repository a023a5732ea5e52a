"""Static quantisation in Q/DQ form by onnxruntime.quantization, in the steps that it needs.

Called by static_int8 and mixed_int8: `prepare`, calibrate once, then `quantised` for each choice of
what stays in FP32. All files are in a folder that the caller removes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto
from onnxruntime.quantization import (  # type: ignore[import-untyped]  # ships no types
    CalibrationMethod,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import (  # type: ignore[import-untyped]  # as above
    TensorsData,
    save_tensors_data,
)
from onnxruntime.quantization.shape_inference import (  # type: ignore[import-untyped]  # as above
    quant_pre_process,
)

from dlagent.build.onnx_graph import finished, operator_counts
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.library import library
from dlagent.build.optimisations.rules import is_transformer
from dlagent.domain.search.candidate import Option

# TensorRT's guide to calibration: about 500 images are enough for networks trained on ImageNet.
CALIBRATION_EXAMPLES = 512

# Where the arithmetic is.
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# What lies between two of them and can be done on 8-bit integers, so that nothing is converted
# back. Softmax, Sigmoid and the like stay in FP32: they end a network, where 8 bits are few.
_BETWEEN = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Flatten",
    "GlobalAveragePool",
    "LeakyRelu",
    "MaxPool",
    "Mul",
    "Pad",
    "Relu",
    "Reshape",
    "Resize",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)


@dataclass(frozen=True)
class Scheme:
    """How numbers become 8-bit integers.

    `activations` are U8 (with a zero point) or S8 (symmetric around 0, biases left in FP32: what
    TensorRT takes). Weights are always S8, with a scale for each output channel; of 7 bits with
    `reduce_range`. `calibration` is MinMax, Entropy or Percentile.
    """

    activations: str
    calibration: str
    reduce_range: bool

    @classmethod
    def of(cls, options: Mapping[str, Option]) -> "Scheme":
        return cls(
            str(options["activations"]), str(options["calibration"]), bool(options["reduceRange"])
        )

    def options(self) -> dict[str, Option]:
        return {
            "activations": self.activations,
            "calibration": self.calibration,
            "reduceRange": self.reduce_range,
        }


@library("onnxruntime.quantization")
def prepare(model: ModelProto, folder: Path) -> Path:
    """A file with the network as the quantiser wants it: folded, shapes inferred, nodes named."""
    source, target = folder / "source.onnx", folder / "prepared.onnx"
    onnx.save(model, source)  # of a model in memory it would move the weights elsewhere
    try:
        quant_pre_process(source, target)
    except Exception:  # noqa: BLE001 - a plain Exception where a shape is not found in symbols
        quant_pre_process(source, target, skip_symbolic_shape=True)
    prepared = onnx.load(target)
    for at, node in enumerate(prepared.graph.node):
        node.name = node.name or f"{node.op_type}#{at}"
    onnx.save(prepared, target)
    return target


def operators_of(prepared: Path) -> list[str]:
    """The operators to quantise.

    Of a transformer only the matrix products: masks of attention hold values like -3e38, which
    leave no bits for all others of their tensor.
    """
    counts = operator_counts(onnx.load(prepared, load_external_data=False))
    return list(HEAVY if is_transformer(counts) else (*HEAVY, *_BETWEEN))


@library("onnxruntime.quantization")
def quantised(
    prepared: Path,
    tensors: TensorsData,
    scheme: Scheme,
    like: ModelProto,
    excluded: Sequence[str] = (),
) -> ModelProto:
    """The network with its operators in Q/DQ form, but for the nodes with the `excluded` names.

    Raises:
        OptimisationError: nothing could be quantised.
    """
    kept = prepared.with_name("ranges.json")
    target = prepared.with_name("int8.onnx")
    save_tensors_data(tensors, kept)
    symmetric = scheme.activations == "S8"
    quantize_static(
        str(prepared),
        str(target),
        None,
        calibration_cache_path=kept,
        calibrate_method=CalibrationMethod[scheme.calibration],
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=operators_of(prepared),
        nodes_to_exclude=list(excluded),
        per_channel=True,
        reduce_range=scheme.reduce_range,
        extra_options={
            "ActivationSymmetric": symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": not symmetric,
        },
    )
    model = finished(onnx.load(target), like)
    if not operator_counts(model).get("QuantizeLinear", 0):
        raise OptimisationError("no operator of the network can be quantised")
    return model
