"""Runs trtexec where the GPU is: a model of Triton's Python backend.

The build has no GPU; Triton's container has one, and the library that it will serve with. The build
puts this file beside the networks to measure, as `model.py`, and asks it as it asks any other
model. Nothing is imported here but what Triton's image has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np

PROGRAM = "trtexec"
# Where NVIDIA's images have it, which is not in the PATH of all of them.
FOLDER = "/usr/src/tensorrt/bin"
_NOT_FOUND, _TOO_LONG = 127, 124  # as a shell and `timeout` tell it
_LOG_BYTES = 65_536


class TritonPythonModel:
    """One request is one run: its arguments, and the seconds that it may take."""

    def initialize(self, args: dict[str, str]) -> None:
        # Triton has it, and nobody else.
        import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

        del args
        self._triton = pb_utils

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        arguments = [value.decode() for value in self._values(request, "arguments")]
        code, log = run(arguments, float(self._values(request, "seconds")[0]))
        return self._triton.InferenceResponse(
            [
                self._triton.Tensor("exit_code", np.array([code], np.int32)),
                self._triton.Tensor("log", np.array([log], np.object_)),
            ]
        )

    def _values(self, request: Any, name: str) -> Any:
        return self._triton.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)


def run(arguments: list[str], seconds: float) -> tuple[int, bytes]:
    """The exit code, and the end of what was printed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), FOLDER))
    program = shutil.which(PROGRAM, path=path)
    if program is None:
        return _NOT_FOUND, f"[E] there is no {PROGRAM} in {path}".encode()
    try:
        done = subprocess.run(  # the build's own arguments, without a shell
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _TOO_LONG, f"[E] it was not ready within {seconds:.0f} s".encode()
    return done.returncode, done.stdout[-_LOG_BYTES:]
