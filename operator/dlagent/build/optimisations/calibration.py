"""The ranges of a network's tensors on calibration examples, by onnxruntime's calibrators.

Called by `quantise`. Few examples at a time: the calibrators by histograms hold all tensors of
what they are given at once, which for a large network is more than 100 MB an example.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]  # ships no types
from onnxruntime.quantization.calibrate import (  # type: ignore[import-untyped]  # as above
    CalibrationDataReader,
    CalibrationMethod,
    HistogramCollector,
    TensorsData,
    create_calibrator,
)

from dlagent.build.onnx_source import network_inputs
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.library import library
from dlagent.build.runtime import Array

_AT_ONCE = 8
# onnxruntime's defaults for Entropy, 128 bins for 128 levels, leave nothing to choose: the range is
# then always the whole one. 8 bits have 256 levels. More bins than this make the search slow (it is
# quadratic) and clip more than they should where few examples fill them.
_ENTROPY_BINS = 512
_LEVELS = 256
_PERCENTILE_BINS = 2048
_PERCENTILE = 99.99  # one value of 10,000 may be clipped

Feed = dict[str, Array]


@library("onnxruntime.quantization")
def ranges(
    prepared: Path, inputs: Mapping[str, Array], method: str, operators: list[str]
) -> TensorsData:
    """The range of each tensor at these operators, by MinMax, Entropy or Percentile.

    `inputs` have the examples first; the network need not have a batch axis.

    Raises:
        OptimisationError: a tensor is not finite on these examples.
    """
    feeds = list(_feeds(prepared, inputs))
    extremes = _collected(_calibrator(prepared, operators, CalibrationMethod.MinMax), feeds)
    for name, values in extremes.items():
        if not np.isfinite(values.range_value).all():
            raise OptimisationError(f"the tensor {name} is not finite on the calibration examples")
    if method == CalibrationMethod.MinMax.name:
        return extremes
    calibrator = _calibrator(prepared, operators, CalibrationMethod[method])
    calibrator.collector = _collector(calibrator, extremes)
    return _collected(calibrator, feeds)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # its base has no types
    """One feed."""

    def __init__(self, feed: Feed) -> None:
        self._left = [feed]

    def get_next(self) -> Feed | None:
        return self._left.pop() if self._left else None


def _collected(calibrator: Any, feeds: list[Feed]) -> TensorsData:
    for feed in feeds:
        calibrator.collect_data(_Reader(feed))
    return calibrator.compute_data()


def _calibrator(prepared: Path, operators: list[str], method: CalibrationMethod) -> Any:
    bins = _ENTROPY_BINS if method is CalibrationMethod.Entropy else _PERCENTILE_BINS
    augmented = str(prepared.with_name("augmented.onnx"))
    calibrator = create_calibrator(
        prepared,
        operators,
        augmented_model_path=augmented,
        calibrate_method=method,
        extra_options={
            "num_bins": bins,
            "num_quantized_bins": _LEVELS,
            "percentile": _PERCENTILE,
            "symmetric": False,
        },
    )
    # On one thread sums are added in the same order on every machine.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    calibrator.infer_session = onnxruntime.InferenceSession(
        augmented, options, providers=["CPUExecutionProvider"]
    )
    return calibrator


def _collector(calibrator: Any, extremes: TensorsData) -> HistogramCollector:
    """A collector whose bins go from each tensor's least to its largest value, still empty.

    By itself it takes the width of bins from what it sees first. If that is small, what comes
    later makes millions of them.
    """
    collector = HistogramCollector(
        method=calibrator.method,
        symmetric=calibrator.symmetric,
        num_bins=calibrator.num_bins,
        num_quantized_bins=calibrator.num_quantized_bins,
        percentile=calibrator.percentile,
        scenario=calibrator.scenario,
    )
    collector.collect(
        {name: np.concatenate(np.atleast_1d(*v.range_value)) for name, v in extremes.items()}
    )
    for counts, *_ in collector.histogram_dict.values():
        counts[:] = 0
    return collector


def _feeds(prepared: Path, inputs: Mapping[str, Array]) -> Iterator[Feed]:
    graph = onnx.load(prepared, load_external_data=False).graph
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in network_inputs(graph)}
    batched = all(inputs[name].ndim == rank for name, rank in ranks.items())
    count = len(next(iter(inputs.values())))
    for at in range(0, count, _AT_ONCE) if batched else range(count):
        part = slice(at, at + _AT_ONCE) if batched else at
        yield {name: np.asarray(values[part]) for name, values in inputs.items()}
