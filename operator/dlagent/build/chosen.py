"""From the source to what is published of it: searched for, made one graph, compared, checked.

Called by dlagent.build.pipeline.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlagent.build.accelerator.whole import NoEngineError, engine_refused, whole
from dlagent.build.failure import BuildError
from dlagent.build.fuse import fuse
from dlagent.build.golden import golden
from dlagent.build.load import Loaded
from dlagent.build.machines import Machine
from dlagent.build.optimise import Optimised, optimise
from dlagent.build.parity import check_parity
from dlagent.build.progress import Progress
from dlagent.build.runtime import RunError, Session
from dlagent.build.scripts import ensemble
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.artifact.summary import FailureReason


@dataclass(frozen=True)
class Chosen:
    """What serves: the content of the network's file, and what is known of it.

    `interface` is the agent's; `agent` answers as it will, on the CPU of this process.
    """

    optimised: Optimised
    network: bytes
    interface: ModelInterface
    self_check: SelfCheck
    parity: float
    agent: ensemble.Agent


def choose(
    request: BuildRequest,
    loaded: Loaded,
    scripts: ensemble.Scripts,
    machine: Machine,
    scratch: Path,
    progress: Progress,
    efforts: Sequence[float],
) -> Chosen:
    """The fastest version on `machine` that keeps the accuracy, ready to be published.

    Where an engine of TensorRT has won that does not work with perceive and act around it, all is
    searched again without TensorRT, in what is left of the time, and a tenth of it at least: what
    ONNX Runtime makes of that graph nobody has judged.

    Raises:
        BuildError: as the stages do; Internal, where a network that ran before does not any more.
        MachineGoneError: of an accelerator.
    """
    end = time.monotonic() + request.search_seconds

    def say(text: str) -> None:
        progress.begin("search", text)

    try:
        refused = engine_refused(machine, request, loaded.network, say)
        while True:
            seconds = max(end - time.monotonic(), request.search_seconds / 10)
            optimised = optimise(
                request,
                loaded,
                progress,
                scratch,
                machine,
                refused,
                seconds,
                efforts,
                scripts.front,
            )
            try:
                return _finished(request, optimised, scripts, machine, progress)
            except NoEngineError as error:
                refused = f"{optimised.candidate.name} has won, but {error}"
    except RunError as error:
        raise BuildError(
            FailureReason.INTERNAL, f"a network that ran before does not run any more: {error}"
        ) from error


def _finished(
    request: BuildRequest,
    optimised: Optimised,
    scripts: ensemble.Scripts,
    machine: Machine,
    progress: Progress,
) -> Chosen:
    network, candidate = optimised.network, optimised.candidate
    because = network.whole_because
    alone = f"; requests are not batched: {because}" if because else ""
    progress.begin("fuse", f"making one graph of perceive, network and act{alone}")
    fused = fuse(network, request)
    session = Session(fused.model.SerializeToString())
    progress.begin("parity", "comparing with the network on random inputs")
    parity = check_parity(optimised.run, network, fused, session)
    engine, precision = candidate.engine, candidate.precision
    with whole(machine, engine, precision, network, fused, session) as made:
        interface = ensemble.whole_interface(scripts, made.interface)
        there = ensemble.Agent(scripts, made.runner, network.batched)
        check = golden(there, interface, network.free_size, precision)
    return Chosen(
        optimised,
        made.network,
        interface,
        check,
        parity,
        ensemble.Agent(scripts, session, network.batched),
    )
