"""The network as it is published: the whole graph, as an engine of TensorRT where one has won.

On an accelerator it is run there once before it is published, whatever runs it. Called by
dlagent.build.pipeline.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from dlagent.build.accelerator.engine import MOST_ROWS
from dlagent.build.failure import BuildError
from dlagent.build.fuse import Fused, fuse
from dlagent.build.golden import TOLERANCE
from dlagent.build.machines import Machine
from dlagent.build.network import FREE, Network
from dlagent.build.parity import check_parity, run_by
from dlagent.build.runtime import Answering, RunError
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.search.candidate import Precision

# An engine is made for batches of all sizes; what ONNX Runtime has no room for is measured later.
_BATCHES = {Engine.ONNX_RUNTIME: (1, 8), Engine.TENSORRT: (1, 8, MOST_ROWS)}


class NoEngineError(Exception):
    """TensorRT does not run the whole graph, or answers otherwise; the message says which."""


@dataclass(frozen=True)
class Whole:
    """The content of the network's file, its tensors, and it as it runs."""

    network: bytes
    interface: ModelInterface
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

    `session` runs the same in ONNX Runtime on the CPU. Where there is an accelerator, the whole has
    to answer there as the network does there, as nearly as its precision allows.

    Raises:
        NoEngineError: by an engine of TensorRT.
        BuildError: UnsupportedOperator, ParityFailed, Internal: by ONNX Runtime.
        MachineGoneError: of the accelerator.
    """
    if machine.lacks is None:
        with _there(machine, engine, precision, network, fused) as found:
            yield found
        return
    graph = fused.model.SerializeToString(deterministic=True)
    yield Whole(graph, fused.interface, session)


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
        _check(machine, runner, engine, precision, network, fused)
        if engine is Engine.ONNX_RUNTIME:
            yield Whole(graph, interface, runner)
            return
        limit = {"max_batch": MOST_ROWS} if network.batched else {}
        limited = interface.model_copy(update=limit)
        yield Whole(machine.plan(graph, interface), limited, runner)


def _check(
    machine: Machine,
    runner: Answering,
    engine: Engine,
    precision: Precision,
    network: Network,
    fused: Fused,
) -> None:
    """That the whole graph answers as the network that the gate has judged, and the steps."""
    try:
        data = network.model.SerializeToString()
        with closing(machine.start(data, network.interface, engine)) as judged:
            run = run_by(judged, network)
            check_parity(run, network, fused, runner, TOLERANCE[precision], _BATCHES[engine])
    except BuildError as error:
        raise _unfit(engine, error.reason, error.message.partition(";")[0]) from error
    except RunError as error:
        raise _unfit(engine, FailureReason.INTERNAL, str(error)) from error


def _unfit(engine: Engine, reason: FailureReason, why: str) -> Exception:
    text = f"with perceive and act around the network, {why}"
    if engine is Engine.TENSORRT:
        return NoEngineError(text)
    return BuildError(
        reason, f"{text}; on the accelerator ONNX Runtime does not do as on the CPU: report it"
    )


def engine_refused(
    machine: Machine, request: BuildRequest, network: Network, say: Callable[[str], None]
) -> str | None:
    """Why TensorRT makes no engine of the source, perceive and act included, if that is known.

    Asked once, and before all else: what is made of the source has the same around it.

    Raises:
        BuildError: ShapeMismatch, InvalidModel.
        MachineGoneError: of the accelerator.
    """
    product = request.target.accelerator_product
    if machine.lacks is not None or product is None or request.engine is Engine.ONNX_RUNTIME:
        return None
    say(f"asking TensorRT for an engine on {product}")
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
