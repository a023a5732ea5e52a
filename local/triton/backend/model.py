"""Triton's `onnxruntime` backend, as a Python-based one.

The Triton of nvidia-pytriton carries the `python` and `ensemble` backends only. With this file
at `backends/onnxruntime/model.py`, a model repository with `backend: "onnxruntime"` loads there
as it does in NVIDIA's image. Triton's stub process calls it; nothing else imports it.

It reads the parameters `intra_op_thread_count` and `inter_op_thread_count` of config.pbtxt, named
as in the C++ backend. Both default to 1: replicas, not threads, are the unit of scaling here.

Where config.pbtxt has `simulated_base_milliseconds` and `simulated_per_item_milliseconds` as well,
it behaves as an accelerator of that speed: see SimulatedAccelerator.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort  # type: ignore[import-untyped]  # it ships no type hints
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]  # Triton has it

Array = npt.NDArray[Any]
Feed = dict[str, Array]

Parameters = dict[str, dict[str, str]]

DEFAULT_MODEL_FILE = "model.onnx"


class SimulatedAccelerator:
    """Makes a batch of b rows last base + b * per_item seconds, one batch at a time.

    Answers are really computed, inside that time; the rest of it is slept, so it costs no CPU. All
    instances of a model share the accelerator, which is a lock on the model's file: each is a
    process of its own, and a file that is only read can be locked too.
    """

    def __init__(self, base_seconds: float, per_item_seconds: float, shared_file: Path) -> None:
        self._base_seconds = base_seconds
        self._per_item_seconds = per_item_seconds
        self._lock = shared_file.open("rb")

    @contextmanager
    def batch(self, rows: int) -> Iterator[None]:
        """Around the computing of one batch: waits for its turn, and lasts as long as it must."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            end = time.monotonic() + self._base_seconds + rows * self._per_item_seconds
            yield
            time.sleep(max(0.0, end - time.monotonic()))
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


class TritonPythonModel:
    """One instance of one model version; Triton calls its methods from a single thread."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        file_name = config.get("default_model_filename") or DEFAULT_MODEL_FILE
        path = Path(args["model_repository"], args["model_version"], file_name)
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        parameters = config.get("parameters", {})
        self._session = ort.InferenceSession(
            str(path), _options(parameters), providers=["CPUExecutionProvider"]
        )
        self._accelerator = _simulated(parameters, path)
        self._check_names(args["model_name"])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request, in order; a bad request spoils only its own."""
        feeds = [self._feed(request) for request in requests]
        with self._accelerated(feeds):
            return self._answers(requests, feeds)

    def _accelerated(self, feeds: list[Feed]) -> AbstractContextManager[None]:
        if self._accelerator is None:
            return nullcontext()
        return self._accelerator.batch(self._rows(feeds) if self._batched else len(feeds))

    def _answers(self, requests: Sequence[Any], feeds: list[Feed]) -> list[Any]:
        pairs = list(zip(requests, feeds, strict=True))
        if not self._batched or len(requests) == 1:
            return [self._answer(request, feed) for request, feed in pairs]
        try:
            results = self._run(_concatenate(feeds, self._inputs), self._outputs)
            return self._split(requests, feeds, results)
        except Exception:  # noqa: BLE001 - any of them may be at fault: each is asked by itself
            return [self._answer(request, feed) for request, feed in pairs]

    def _check_names(self, model: str) -> None:
        for kind, wanted, found in (
            ("input", self._inputs, [node.name for node in self._session.get_inputs()]),
            ("output", self._outputs, [node.name for node in self._session.get_outputs()]),
        ):
            missing = sorted(set(wanted) - set(found))
            if missing:
                raise pb_utils.TritonModelException(
                    f"{model}: config.pbtxt names {kind} {missing}, the ONNX file has {found}"
                )

    def _feed(self, request: Any) -> Feed:
        """The request's tensors, as views of the memory that Triton shares with this process."""
        return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}

    def _rows(self, feeds: list[Feed]) -> int:
        return sum(len(feed[self._inputs[0]]) for feed in feeds)

    def _run(self, feed: Feed, outputs: list[str]) -> dict[str, Array]:
        return dict(zip(outputs, self._session.run(outputs, feed), strict=True))

    def _answer(self, request: Any, feed: Feed) -> Any:
        wanted = [name for name in self._outputs if name in request.requested_output_names()]
        try:
            results = self._run(feed, wanted)
        except Exception as error:  # noqa: BLE001 - the boundary: it becomes the request's error
            return pb_utils.InferenceResponse([], pb_utils.TritonError(str(error)))
        return _response(results)

    def _split(
        self, requests: Sequence[Any], feeds: list[Feed], results: dict[str, Array]
    ) -> list[Any]:
        total = self._rows(feeds)
        for name, array in results.items():
            if len(array) != total:
                raise ValueError(f"output {name} has {len(array)} rows for a batch of {total}")
        responses = []
        start = 0
        for request, feed in zip(requests, feeds, strict=True):
            end = start + len(feed[self._inputs[0]])
            wanted = request.requested_output_names()
            responses.append(
                _response({name: results[name][start:end] for name in results if name in wanted})
            )
            start = end
        return responses


def _simulated(parameters: Parameters, shared_file: Path) -> SimulatedAccelerator | None:
    """The accelerator that config.pbtxt describes; None where it describes none."""
    base, per_item = (
        parameters.get(f"simulated_{name}_milliseconds") for name in ("base", "per_item")
    )
    if base is None or per_item is None:
        return None
    return SimulatedAccelerator(_seconds(base), _seconds(per_item), shared_file)


def _seconds(parameter: dict[str, str]) -> float:
    return float(parameter["string_value"]) / 1000


def _options(parameters: Parameters) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = _threads(parameters, "intra_op_thread_count")
    options.inter_op_num_threads = _threads(parameters, "inter_op_thread_count")
    return options


def _threads(parameters: Parameters, name: str) -> int:
    return int(parameters.get(name, {}).get("string_value", "1"))


def _concatenate(feeds: list[Feed], names: list[str]) -> Feed:
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in names}


def _response(results: dict[str, Array]) -> Any:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, array) for name, array in results.items()]
    )
