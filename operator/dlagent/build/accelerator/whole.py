"""The network as it is published: the whole graph, as an engine of TensorRT where one has won.

On an accelerator it is run there once before it is published, whatever runs it. Called by
dlagent.build.pipeline.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from dlagent.build.accelerator.engine import MOST_ROWS
from dlagent.build.failure import BuildError, MachineGoneError
from dlagent.build.fuse import Fused, fuse
from dlagent.build.golden import TOLERANCE
from dlagent.build.machines import Machine
from dlagent.build.network import FREE, Network
from dlagent.build.parity import Tolerance, as_run, check_parity
from dlagent.build.runtime import Answering, RunError
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.search.candidate import Precision

_BATCHES = (1, 8, MOST_ROWS)
# Than what pods are held to: those have the same accelerator, and this is compared with a CPU. How
# accurate it is the gate has judged, on the accelerator.
_WIDER = 3


class NoEngineError(Exception):
    """TensorRT does not run the whole graph, or answers otherwise; the message says which."""


@dataclass(frozen=True)
class Whole:
    """The content of the network's file, its tensors, what runs it, and it as it runs there."""

    network: bytes
    interface: ModelInterface
    engine: Engine
    runner: Answering


@contextmanager
def whole(
    machine: Machine,
    engine: Engine,
    precision: Precision,
    network: Network,
    fused: Fused,
    session: Answering,
) -> Iterator[Whole]:
    """What is published of a network: `fused` has perceive and act around it.

    `session` runs the same in ONNX Runtime on the CPU. Where there is an accelerator it has to give
    the network's answers there too, as nearly as its precision allows.

    Raises:
        NoEngineError: by an engine of TensorRT.
        BuildError: UnsupportedOperator, ParityFailed: by ONNX Runtime; Internal, as
            MachineGoneError.
    """
    if machine.lacks is None:
        with _there(machine, engine, precision, network, fused) as found:
            yield found
        return
    graph = fused.model.SerializeToString(deterministic=True)
    yield Whole(graph, fused.interface, Engine.ONNX_RUNTIME, session)


@contextmanager
def _there(
    machine: Machine, engine: Engine, precision: Precision, network: Network, fused: Fused
) -> Iterator[Whole]:
    """On the accelerator. Raises as `whole`."""
    graph, interface = fused.model.SerializeToString(deterministic=True), fused.interface
    try:
        runner = machine.start(graph, interface, engine)
    except RunError as error:
        raise _unfit(engine, FailureReason.UNSUPPORTED_OPERATOR, str(error)) from error
    with closing(runner):
        _check(runner, engine, precision, network, fused)
        if engine is Engine.ONNX_RUNTIME:
            yield Whole(graph, interface, engine, runner)
            return
        limit = {"max_batch": MOST_ROWS} if network.batched else {}
        limited = interface.model_copy(update=limit)
        yield Whole(machine.plan(graph, interface), limited, engine, runner)


def _check(
    runner: Answering, engine: Engine, precision: Precision, network: Network, fused: Fused
) -> None:
    try:
        allowed = TOLERANCE[precision]
        wide = Tolerance(_WIDER * allowed.relative, _WIDER * allowed.absolute_share)
        check_parity(as_run(network), network, fused, runner, wide, _BATCHES)
    except MachineGoneError:
        raise
    except BuildError as error:
        raise _unfit(engine, error.reason, error.message.partition(";")[0]) from error


def _unfit(engine: Engine, reason: FailureReason, why: str) -> Exception:
    text = f"with perceive and act around the network, {why}"
    if engine is Engine.TENSORRT:
        return NoEngineError(text)
    return BuildError(
        reason, f"{text}; on the accelerator ONNX Runtime does not do as on the CPU: report it"
    )


def engine_refused(machine: Machine, request: BuildRequest, network: Network) -> str | None:
    """Why TensorRT makes no engine of the source, perceive and act included, if that is known.

    Asked once, and before all else: what is made of the source has the same around it.

    Raises:
        BuildError: ShapeMismatch, InvalidModel; Internal, as MachineGoneError.
    """
    product = request.target.accelerator_product
    if machine.lacks is not None or product is None or request.engine is Engine.ONNX_RUNTIME:
        return None
    fused = fuse(network, request)
    free = [t.name for t in (*network.inputs, *fused.interface.inputs) if FREE in t.shape]
    if free:
        return (
            f"the input {free[0]} has a free axis beside the batch: declare its size in"
            " spec.model.inputs"
        )
    try:
        with _there(machine, Engine.TENSORRT, Precision.FP32, network, fused):
            return None
    except NoEngineError as error:
        return str(error)
