"""Triton's `onnxruntime` backend, as a Python-based one.

The Triton of nvidia-pytriton carries the `python` and `ensemble` backends only. With this file
at `backends/onnxruntime/model.py`, a model repository with `backend: "onnxruntime"` loads there
as it does in NVIDIA's image. Triton's stub process calls it; nothing else imports it.

It reads the parameters `intra_op_thread_count` and `inter_op_thread_count` of config.pbtxt, named
as in the C++ backend. Both default to 1: replicas, not threads, are the unit of scaling here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort  # type: ignore[import-untyped]  # it ships no type hints
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]  # Triton has it

Array = npt.NDArray[Any]
Feed = dict[str, Array]

DEFAULT_MODEL_FILE = "model.onnx"


class TritonPythonModel:
    """One instance of one model version; Triton calls its methods from a single thread."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        file_name = config.get("default_model_filename") or DEFAULT_MODEL_FILE
        path = Path(args["model_repository"], args["model_version"], file_name)
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._session = ort.InferenceSession(
            str(path), _options(config.get("parameters", {})), providers=["CPUExecutionProvider"]
        )
        self._check_names(args["model_name"])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request, in order; a bad request spoils only its own."""
        feeds = [self._feed(request) for request in requests]
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
        total = sum(len(feed[self._inputs[0]]) for feed in feeds)
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


def _options(parameters: dict[str, dict[str, str]]) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = _threads(parameters, "intra_op_thread_count")
    options.inter_op_num_threads = _threads(parameters, "inter_op_thread_count")
    return options


def _threads(parameters: dict[str, dict[str, str]], name: str) -> int:
    return int(parameters.get(name, {}).get("string_value", "1"))


def _concatenate(feeds: list[Feed], names: list[str]) -> Feed:
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in names}


def _response(results: dict[str, Array]) -> Any:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, array) for name, array in results.items()]
    )
