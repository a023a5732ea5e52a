"""The network as it is published: the whole graph, as an engine of TensorRT where one has won.

Called by dlagent.build.pipeline.
"""

from contextlib import closing
from dataclasses import dataclass

from dlagent.build.accelerator.engine import MOST_ROWS
from dlagent.build.failure import BuildError
from dlagent.build.golden import golden
from dlagent.build.machines import Machine
from dlagent.build.network import Network
from dlagent.build.runtime import Answering, RunError
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.selfcheck import compare, golden_input
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.search.candidate import Candidate

_REMEDY = "set spec.build.engine: ONNXRuntime, or report it"


@dataclass(frozen=True)
class Whole:
    """The content of the network's file, its tensors, and what runs it."""

    network: bytes
    interface: ModelInterface
    engine: Engine


def whole(
    machine: Machine,
    chosen: Candidate,
    network: Network,
    graph: bytes,
    interface: ModelInterface,
    session: Answering,
) -> Whole:
    """What is published of `chosen`: `graph` is its network with perceive and act around it.

    The engine has to answer as `session`, ONNX Runtime on the graph, within the tolerance that pods
    are held to.

    Raises:
        BuildError: UnsupportedOperator, ParityFailed; Internal, where the machine is gone.
    """
    if chosen.engine is not Engine.TENSORRT:
        return Whole(graph, interface, chosen.engine)
    check = golden(session, interface, network.free_size, chosen.precision)
    feed = {tensor.name: golden_input(check.seed, tensor) for tensor in check.inputs}
    try:
        plan = machine.plan(graph, interface)
        with closing(machine.start(graph, interface, Engine.TENSORRT)) as runner:
            problem = compare(check, runner.run(feed))
    except RunError as error:
        raise BuildError(
            FailureReason.UNSUPPORTED_OPERATOR,
            f"{chosen.name} does not run with perceive and act around it: {error}; {_REMEDY}",
        ) from error
    if problem is not None:
        raise BuildError(
            FailureReason.PARITY_FAILED,
            f"TensorRT answers otherwise than ONNX Runtime, {problem}; {_REMEDY}",
        )
    limited = (
        interface.model_copy(update={"max_batch": MOST_ROWS}) if network.batched else interface
    )
    return Whole(plan, limited, Engine.TENSORRT)
