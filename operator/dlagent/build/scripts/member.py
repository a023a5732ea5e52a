"""A script of a user behind Triton's Python backend: the `model.py` of an ensemble's member.

The build copies this file as it is into the artifact, beside the script, so it needs nothing but
numpy. dlagent.build.scripts.runner calls scripts by the same functions: what the build has checked
is what serves. It is no part of an artifact's key: where it is to answer otherwise, raise
RECIPE_VERSION.
"""

from __future__ import annotations

import importlib.util
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Step = Callable[[dict[str, Array]], Any]

SCRIPT = "step.py"
FUNCTION = "step"
TEXT = "BYTES"
_FREE = -1
_MODULE = "dlagent_python_step"
_TYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
# What ends a script: sys.exit is no way to end Triton or a build.
_ENDS = (Exception, SystemExit)


class StepError(Exception):
    """The script did what it must not; the message says what, and what to do."""


@dataclass(frozen=True)
class Output:
    """What the script has to make, without the batch axis; `data_type` as requests name it."""

    name: str
    data_type: str
    shape: list[int]


def load_step(path: Path) -> Step:
    """The function of a script. Raises StepError."""
    specification = importlib.util.spec_from_file_location(_MODULE, path)
    if specification is None or specification.loader is None:
        raise StepError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except _ENDS as error:
        raise StepError(f"the script cannot be imported: {_told(error, path)}") from error
    step = getattr(module, FUNCTION, None)
    if not callable(step):
        raise StepError(
            f"the script has no function {FUNCTION}; define {FUNCTION}(inputs), which takes and"
            " gives a dict of numpy arrays by name"
        )
    found: Step = step
    return found


def call(step: Step, inputs: Arrays, outputs: Sequence[Output], batched: bool) -> dict[str, Array]:
    """What the script makes, checked; text as bytes. Raises StepError.

    Args:
        step: see `load_step`.
        inputs: by name; with the batch axis in front where `batched`.
        outputs: what it has to make.
        batched: whether there is a batch axis.
    """
    rows = len(next(iter(inputs.values()))) if batched else None
    try:
        made = step(dict(inputs))
    except _ENDS as error:
        raise StepError(_told(error, None)) from error
    wanted = [output.name for output in outputs]
    if not isinstance(made, Mapping) or sorted(map(str, made)) != sorted(wanted):
        gave = sorted(map(str, made)) if isinstance(made, Mapping) else type(made).__name__
        raise StepError(f"{FUNCTION} gives {gave}; it must give a dict with the outputs {wanted}")
    return {output.name: _checked(made[output.name], output, rows) for output in outputs}


def _checked(value: Any, output: Output, rows: int | None) -> Array:
    if not isinstance(value, np.ndarray):
        raise StepError(
            f"the output {output.name} is a {type(value).__name__}; make a numpy array of it"
        )
    shape = [*([rows] if rows is not None else []), *output.shape]
    fits = value.ndim == len(shape) and all(
        size in (_FREE, found) for size, found in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise StepError(
            f"the output {output.name} has the shape {list(value.shape)} where {shape} was"
            f" expected{' (the batch first)' if rows is not None else ''}; correct the script, or"
            " its outputs in the spec"
        )
    return _text(value, output) if output.data_type == TEXT else _numbers(value, output)


def _numbers(value: Array, output: Output) -> Array:
    wanted = np.dtype(_TYPES[output.data_type])
    if value.dtype != wanted:
        raise StepError(
            f"the output {output.name} has the type {value.dtype}, it is declared as"
            f" {output.data_type}; write .astype(np.{wanted}), or correct the spec"
        )
    return np.ascontiguousarray(value)


def _text(value: Array, output: Output) -> Array:
    made = np.empty(value.shape, np.object_)
    for place, item in enumerate(value.flat):
        if not isinstance(item, str | bytes):
            raise StepError(
                f"the output {output.name} is declared as {TEXT} and holds a"
                f" {type(item).__name__}; make text of it"
            )
        made.flat[place] = item.encode() if isinstance(item, str) else item
    return made


def _told(error: BaseException, script: Path | None) -> str:
    """The error with its place in the script."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and (script is None or frame.filename == str(script))
    ]
    if isinstance(error, SyntaxError) and error.lineno is not None:
        lines.append(error.lineno)
    return f"line {lines[0]}: {text}" if lines and lines[0] is not None else text


class TritonPythonModel:
    """One instance of the member; Triton calls its methods from a single thread."""

    def initialize(self, args: dict[str, str]) -> None:
        # Triton's own module, which is there in its processes only.
        import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

        self._triton = pb_utils
        self._name = args["model_name"].rstrip("_")
        config = json.loads(args["model_config"])
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._outputs = [_output(tensor) for tensor in config["output"]]
        try:
            self._step = load_step(Path(__file__).with_name(SCRIPT))
        except StepError as error:
            raise pb_utils.TritonModelException(self._say(error)) from error

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request, in order; a bad request spoils only its own."""
        feeds = [{item.name(): item.as_numpy() for item in each.inputs()} for each in requests]
        if not self._batched or len(feeds) == 1:
            return [self._answer(feed) for feed in feeds]
        try:
            together = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
            made = call(self._step, together, self._outputs, self._batched)
        except StepError:  # any of them may be at fault: each is asked by itself
            return [self._answer(feed) for feed in feeds]
        ends = np.cumsum([len(next(iter(feed.values()))) for feed in feeds])[:-1]
        parts = {name: np.split(values, ends) for name, values in made.items()}
        return [
            self._response({name: split[at] for name, split in parts.items()})
            for at in range(len(feeds))
        ]

    def _answer(self, feed: dict[str, Array]) -> Any:
        try:
            return self._response(call(self._step, feed, self._outputs, self._batched))
        except StepError as error:
            return self._triton.InferenceResponse([], self._triton.TritonError(self._say(error)))

    def _response(self, made: dict[str, Array]) -> Any:
        tensors = [self._triton.Tensor(name, values) for name, values in made.items()]
        return self._triton.InferenceResponse(tensors)

    def _say(self, error: StepError) -> str:
        return f"the python step of {self._name}: {error}"


def _output(tensor: dict[str, Any]) -> Output:
    data_type = tensor["data_type"].removeprefix("TYPE_")
    shape = [int(size) for size in tensor["dims"]]
    return Output(tensor["name"], TEXT if data_type == "STRING" else data_type, shape)
