"""ONNX Runtime with the options that the serving backend uses; all that runs networks calls it."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import onnxruntime  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray

from dlagent.build.failure import BuildError
from dlagent.domain.artifact.summary import FailureReason

Array = NDArray[Any]
VERSION: str = onnxruntime.__version__

_ERRORS_ONLY = 3
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


class RunError(Exception):
    """The model does not take this input, or cannot be run; the message is the engine's."""


class Answering(Protocol):
    """What answers as a Session does."""

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]: ...


@dataclass(frozen=True)
class OutputPort:
    """An output as ONNX Runtime sees it; a free axis is a name or None."""

    name: str
    type: str
    shape: list[int | str | None]


class Session:
    """A model ready to run on one thread, as config.pbtxt asks for it."""

    def __init__(self, model: bytes) -> None:
        """Raises BuildError: UnsupportedOperator, InvalidModel."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base but Exception
            raise _refused(error) from error

    def outputs(self) -> list[OutputPort]:
        return [OutputPort(o.name, o.type, list(o.shape)) for o in self._session.get_outputs()]

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RunError."""
        names = [output.name for output in self._session.get_outputs()]
        try:
            values = self._session.run(names, dict(feed))
        except Exception as error:  # its exceptions have no common base but Exception
            raise RunError(first_line(error)) from error
        return dict(zip(names, values, strict=True))

    def milliseconds(self, feed: Mapping[str, Array], runs: int) -> float:
        """How long a run takes, the mean of so many in a row. Raises RunError."""
        began = time.perf_counter()
        for _ in range(runs):
            self.run(feed)
        return (time.perf_counter() - began) * 1000 / runs

    def close(self) -> None:
        """Free the network; it is not run again."""
        del self._session


def first_line(error: Exception) -> str:
    """An error's first line, short enough for a condition's message."""
    text = _PREFIX.sub("", str(error).strip()) or type(error).__name__
    return text.splitlines()[0][:300]


def _refused(error: Exception) -> BuildError:
    text = first_line(error)
    unknown = "is not a registered function/op" in str(error) or "NOT_IMPLEMENTED" in str(error)
    if unknown:
        return BuildError(
            FailureReason.UNSUPPORTED_OPERATOR,
            f"ONNX Runtime {VERSION} does not have an operator of the model ({text}); export it"
            " with standard ONNX operators",
        )
    return BuildError(
        FailureReason.INVALID_MODEL, f"ONNX Runtime {VERSION} refuses the model: {text}"
    )
