"""Where the versions of a network are run, to be timed and judged.

In this process on one thread where the agent is served on a CPU; where it is served on an
accelerator, on the Triton beside the build, which has one (dlagent.build.accelerator). Used by
dlagent.build.contest for a search, and by dlagent.build.pipeline for what came of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dlagent.build.runtime import Array, RunError, Session
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface


class Runner(Protocol):
    """A network that is ready to run."""

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RunError."""
        ...

    def milliseconds(self, feed: Mapping[str, Array], runs: int) -> float:
        """How long a run takes, the mean of so many in a row. Raises RunError."""
        ...

    def close(self) -> None:
        """Free what it holds. It is not run again."""
        ...


class Machine(Protocol):
    """`lacks` says why it cannot compare what is made for accelerators; None where it can."""

    @property
    def lacks(self) -> str | None: ...

    def start(self, model: bytes, interface: ModelInterface, engine: Engine) -> Runner:
        """Make a network in ONNX ready to run.

        Raises:
            BuildError: InvalidModel, UnsupportedOperator; Internal, where the machine is gone.
            RunError: the engine refuses it.
        """
        ...

    def plan(self, model: bytes, interface: ModelInterface) -> bytes:
        """The engine that TensorRT makes of a network in ONNX; only where it lacks nothing.

        Raises:
            BuildError: Internal, where the machine is gone.
            RunError: it makes none; the message says why.
        """
        ...


@dataclass(frozen=True)
class ThisProcess:
    """ONNX Runtime here, on the CPU, whatever the engine."""

    lacks: str | None = None

    def start(self, model: bytes, interface: ModelInterface, engine: Engine) -> Session:
        del interface, engine
        return Session(model)

    def plan(self, model: bytes, interface: ModelInterface) -> bytes:
        del model, interface
        raise RunError("TensorRT is where the accelerator is")
