"""Python steps around the network in the build: run, checked, and told of.

Called by dlagent.build.pipeline. Scripts are processes of their own (dlagent.build.scripts.process)
as long as `started` is open.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlagent.api.types import Tensor
from dlagent.build.failure import BuildError
from dlagent.build.network import Network, sample
from dlagent.build.runtime import Answering, Array, Session
from dlagent.build.scripts.member import SCRIPT
from dlagent.build.scripts.process import ScriptProcess
from dlagent.domain.artifact.interface import ModelInterface, NetworkTensors, served
from dlagent.domain.artifact.layout import ACT, PERCEIVE
from dlagent.domain.artifact.python_steps import (
    PERCEIVE_FIELD,
    act_field,
    back_step,
    front_step,
)
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason

_ROWS = 3
# Of the largest value: sums may be taken in another order for another number of rows.
_CLOSE = 1e-3


@dataclass(frozen=True)
class Front:
    """The script of perceive: what clients send, and what it makes of it."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    process: ScriptProcess

    def run(self, raw: Mapping[str, Array], batched: bool) -> dict[str, Array]:
        """Raises BuildError: PythonStepFailed."""
        return self.process.run(raw, batched)


@dataclass(frozen=True)
class Back:
    """The script of act, and what clients get of it."""

    outputs: list[Tensor]
    process: ScriptProcess


@dataclass(frozen=True)
class Scripts:
    """The scripts of an agent; None where it has none."""

    front: Front | None = None
    back: Back | None = None


@contextmanager
def started(request: BuildRequest, scratch: Path) -> Iterator[Scripts]:
    """The scripts of a request, imported.

    Raises:
        BuildError: PythonStepFailed; ShapeMismatch, where what clients send is not declared.
    """
    front_spec, back_spec = front_step(request.perceive), back_step(request.act)
    with ExitStack() as stack:
        front = back = None
        if front_spec is not None:
            if not request.inputs:
                raise BuildError(
                    FailureReason.SHAPE_MISMATCH,
                    f"{PERCEIVE_FIELD} takes what clients send, which nothing says; declare"
                    " spec.model.inputs",
                )
            outputs = [served(tensor) for tensor in front_spec.outputs]
            path = _written(scratch / PERCEIVE, PERCEIVE_FIELD, request.scripts.perceive)
            process = stack.enter_context(ScriptProcess(PERCEIVE_FIELD, path, outputs))
            front = Front([served(tensor) for tensor in request.inputs], outputs, process)
        if back_spec is not None:
            field = act_field(request.act)
            outputs = [served(tensor) for tensor in back_spec.outputs]
            path = _written(scratch / ACT, field, request.scripts.act)
            back = Back(outputs, stack.enter_context(ScriptProcess(field, path, outputs)))
        yield Scripts(front, back)


def _written(folder: Path, field: str, text: str | None) -> Path:
    if text is None:
        raise BuildError(FailureReason.PYTHON_STEP_FAILED, f"{field}: the script was not given")
    folder.mkdir(exist_ok=True)
    path = folder / SCRIPT
    path.write_text(text)
    return path


@contextmanager
def explained(scripts: Scripts) -> Iterator[None]:
    """Messages about what the steps after the script take say where that comes from."""
    try:
        yield
    except BuildError as error:
        if scripts.front is None or error.reason != FailureReason.SHAPE_MISMATCH:
            raise
        raise BuildError(
            error.reason,
            f"{error.message} (for spec.model.inputs stand the outputs of {PERCEIVE_FIELD} here)",
        ) from error


class Agent:
    """The whole agent in the build: what clients send to what they get, as a Session answers."""

    def __init__(self, scripts: Scripts, session: Answering, batched: bool) -> None:
        self._scripts = scripts
        self._session = session
        self._batched = batched

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RunError; BuildError: PythonStepFailed."""
        front, back = self._scripts.front, self._scripts.back
        taken = front.run(feed, self._batched) if front is not None else feed
        given = self._session.run(taken)
        return back.process.run(given, self._batched) if back is not None else given


def whole_interface(scripts: Scripts, network: ModelInterface) -> ModelInterface:
    """The agent's interface from that of its network with the steps that are fused into it.

    Raises:
        BuildError: ShapeMismatch, where two of its tensors have one name.
    """
    front, back = scripts.front, scripts.back
    if front is None and back is None:
        return network
    whole = ModelInterface(
        inputs=front.inputs if front is not None else network.inputs,
        outputs=back.outputs if back is not None else network.outputs,
        batched=network.batched,
        network=NetworkTensors(
            inputs=network.inputs if front is not None else None,
            outputs=network.outputs if back is not None else None,
        ),
        max_batch=network.max_batch,
    )
    names = Counter(tensor.name for tensor in (*whole.inputs, *whole.outputs))
    name, times = names.most_common(1)[0]
    if times > 1:
        raise BuildError(
            FailureReason.SHAPE_MISMATCH,
            f"two of the agent's inputs and outputs would be called {name}; give the outputs of the"
            " python step other names",
        )
    return whole


def check_scripts(
    scripts: Scripts, session: Session, interface: ModelInterface, network: Network
) -> None:
    """That the scripts answer random inputs, and each example as if it came alone.

    Raises:
        BuildError: PythonStepFailed.
        RunError: the network does not take what the script makes.
    """
    front, back = scripts.front, scripts.back
    rows = _ROWS if interface.batched else None
    feed = sample(interface.inputs, "scripts", rows, network.free_size)
    taken = _checked(front.process, feed, rows) if front is not None else feed
    given = session.run(taken)
    if back is not None:
        _checked(back.process, given, rows)


def _checked(
    process: ScriptProcess, feed: Mapping[str, Array], rows: int | None
) -> dict[str, Array]:
    together = process.run(feed, rows is not None)
    for row in range(rows or 0):
        alone = process.run({name: value[row : row + 1] for name, value in feed.items()}, True)
        for name, value in alone.items():
            if not _close(together[name][row : row + 1], value):
                raise process.failure(
                    f"the output {name} for an example is another one when others are in its batch,"
                    " or at each call; a request may share its batch with others: work on each row"
                    " by itself, and without chance"
                )
    return together


def _close(together: Array, alone: Array) -> bool:
    if together.shape != alone.shape:
        return False
    if together.dtype.kind != "f":
        return bool((together == alone).all())
    largest = float(np.abs(np.nan_to_num(together)).max(initial=0.0))
    return np.allclose(together, alone, rtol=0.0, atol=_CLOSE * largest, equal_nan=True)
