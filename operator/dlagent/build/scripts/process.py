"""A script of a user as a process that is asked: it can harm itself, and not the build.

Used by dlagent.build.scripts.ensemble. A script that crashes, ends, or never answers is a failure
of the build like any other; what it prints goes to the build's log.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from dlagent.api.types import Tensor
from dlagent.build.failure import BuildError
from dlagent.build.scripts.runner import GOOD
from dlagent.build.scripts.wire import receive_arrays, send_arrays
from dlagent.domain.artifact.summary import FailureReason

Array = NDArray[Any]

ANSWER_SECONDS = 60.0  # for one batch, and to be imported
_STDERR = 2
_END_SECONDS = 5.0


class ScriptProcess:
    """One script. Use it in a `with` block: the process ends with it.

    Raises:
        BuildError: PythonStepFailed, of every method; `field` is in the message.
    """

    def __init__(
        self,
        field: str,
        script: Path,
        outputs: Sequence[Tensor],
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._field = field
        self._answer_seconds = answer_seconds
        self._connection, theirs = Pipe()
        self._process = _started(theirs)
        theirs.close()
        described = [
            {"name": t.name, "data_type": str(t.data_type), "shape": t.shape} for t in outputs
        ]
        task = {"script": str(script), "outputs": described}
        try:
            self._import(json.dumps(task).encode())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, feed: Mapping[str, Array], batched: bool) -> dict[str, Array]:
        """What the script makes; both with the batch axis in front where `batched`."""
        try:
            self._connection.send_bytes(json.dumps(batched).encode())
            send_arrays(self._connection, feed)
            self._wait("answer")
            return receive_arrays(self._connection)
        except (EOFError, OSError) as error:
            raise self._died() from error

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait(_END_SECONDS)

    def _import(self, task: bytes) -> None:
        try:
            self._connection.send_bytes(task)
        except OSError as error:
            raise self._died() from error
        self._wait("import")

    def _wait(self, what: str) -> None:
        """Until it says that this is done."""
        try:
            if not self._connection.poll(self._answer_seconds):
                raise self.failure(
                    f"it did not {what} within {self._answer_seconds:g} s; make it faster, or see"
                    " whether it ends at all"
                )
            told = self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if told != GOOD:
            raise self.failure(told.decode(errors="replace"))

    def _died(self) -> BuildError:
        code = self._process.wait(_END_SECONDS)
        return self.failure(
            f"its process ended with the exit code {code}; the script must neither end Python nor"
            " crash it (of lack of memory: raise spec.build.resources.limits.memory)"
        )

    def failure(self, message: str) -> BuildError:
        """What the build ends with where the script did what it must not."""
        return BuildError(FailureReason.PYTHON_STEP_FAILED, f"{self._field}: {message}")


def _started(connection: Connection) -> "subprocess.Popen[bytes]":
    number = connection.fileno()
    return subprocess.Popen(
        [sys.executable, "-m", "dlagent.build.scripts.runner", str(number)],
        stdin=subprocess.DEVNULL,
        stdout=_STDERR,  # stdout is for the build's progress
        pass_fds=[number],
    )
