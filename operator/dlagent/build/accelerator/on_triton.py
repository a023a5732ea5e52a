"""A machine that runs networks on the accelerator, by the Triton beside the build.

Times are Triton's own, without what a request travels. Opened by dlagent.build.pipeline for the
search and for what came of it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlagent.adapters.trial_server import TrialServer, TrialServerError
from dlagent.build.accelerator import engine as trt
from dlagent.build.failure import MachineGoneError
from dlagent.build.machines import Machine, ThisProcess
from dlagent.build.network import Network
from dlagent.build.repository import repository
from dlagent.build.runtime import Array, RunError, first_line
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import render
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.layout import CONFIG, MODEL
from dlagent.domain.artifact.request import Scripts, Target
from dlagent.domain.artifact.selfcheck import texts_of
from dlagent.domain.artifact.triton_config import ServingPlan

READY_SECONDS = 300.0  # a Triton with a GPU takes its time
_ENGINE_SHARE = 6  # of the time to search that one engine may take: two are made outside of it
_BUILDER = "trtexec_"
_PROGRAM = Path(__file__).with_name("trtexec.py")
_TIMINGS = "timings.cache"
_MOST_PLANS = 12
_ANSWER_SECONDS = 10.0


@contextmanager
def machine(
    target: Target, source: Network, trials: Path | None, search_seconds: float
) -> Iterator[Machine]:
    """The machine that the versions of the source are compared on.

    That is this process where the agent is served on a CPU, where the accelerator is simulated, and
    where no Triton is beside the build; `lacks` says which.

    Raises:
        MachineGoneError: Triton does not come, or does not run the source on the accelerator. What
            a CPU would choose is not published in place of that: the key would be the same.
    """
    why = _reason_against(target, source.interface)
    if why is not None or trials is None:
        yield ThisProcess(why or "there is no Triton beside this build")
        return
    with TrialServer(trials) as server:
        try:
            server.wait(READY_SECONDS)
            found = OnTriton(server, trials, target, search_seconds / _ENGINE_SHARE)
            data = source.model.SerializeToString()
            found.start(data, source.interface, Engine.ONNX_RUNTIME).close()
        except (TrialServerError, RunError) as error:
            raise MachineGoneError(
                f"the Triton beside the build does not run the network on {target.accelerator}:"
                f" {error}; see the log of the container triton of the build's pod"
            ) from error
        yield found


def _reason_against(target: Target, interface: ModelInterface) -> str | None:
    if not target.accelerated:
        return "the agent is served on a CPU"
    if target.simulated is not None:
        return "the accelerator is simulated, and takes as long for one version as for another"
    tensors = (*interface.inputs, *interface.outputs)
    scalar = next((tensor.name for tensor in tensors if not tensor.shape), None)
    if scalar is not None:
        return f"{scalar} has one value an example without an axis of its own, which Triton refuses"
    return None


@dataclass(frozen=True)
class Served:
    """A network on Triton, under a name of its own."""

    server: TrialServer
    name: str
    interface: ModelInterface

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RunError, MachineGoneError."""
        if not self.interface.batched:
            return self._ask(feed)
        rows = len(next(iter(feed.values())))
        answers = [
            self._ask({name: value[at : at + trt.MOST_ROWS] for name, value in feed.items()})
            for at in range(0, rows, trt.MOST_ROWS)
        ]
        return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}

    def milliseconds(self, feed: Mapping[str, Array], runs: int) -> float:
        """How long a run takes, the mean of so many in a row. Raises as `run`."""
        rows = len(next(iter(feed.values()))) if self.interface.batched else 1
        with _refusals(self.server):
            return self.server.mean_milliseconds(self.name, feed, rows, runs)

    def close(self) -> None:
        self.server.unload(self.name)

    def _ask(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        with _refusals(self.server):
            answer = self.server.infer(self.name, feed)
        return {name: _text(value) for name, value in answer.items()}


def _text(value: Array) -> Array:
    """As ONNX Runtime gives it: Triton sends text as UTF-8."""
    if value.dtype.kind != "O":
        return value
    return np.array(texts_of(value), np.object_).reshape(value.shape)


class OnTriton:
    """The accelerator's machine. Engines are made once for each graph, each in `engine_seconds`."""

    lacks: str | None = None

    def __init__(
        self, server: TrialServer, folder: Path, target: Target, engine_seconds: float
    ) -> None:
        self._server = server
        self._folder = folder
        self._target = target
        self._engine_seconds = engine_seconds
        self._started = 0
        # It stays, so that a Triton that began anew is told by its absence.
        with suppress(TrialServerError):
            self._load_trtexec()

    def start(self, model: bytes, interface: ModelInterface, engine: Engine) -> Served:
        network = self.plan(model, interface) if engine is Engine.TENSORRT else model
        self._started += 1
        name = f"version{self._started}"
        how = ServingPlan(
            max_batch_size=trt.MOST_ROWS if interface.batched else 0,
            batch_delay_microseconds=0,
            instances=1,
            accelerated=True,
            gathers=False,
        )
        configs = render(interface, how, engine, self._target.simulated)
        with _refusals(self._server):
            self._server.load(name, repository(network, configs, Scripts(), engine))
        return Served(self._server, name, interface)

    def plan(self, model: bytes, interface: ModelInterface) -> bytes:
        """The engine that TensorRT makes of a network; see Machine."""
        path = self._folder / hashlib.sha256(model).hexdigest()
        network, unfinished, plan = (path.with_suffix(s) for s in (".onnx", ".part", ".plan"))
        try:
            if not plan.exists():
                network.write_bytes(model)
                timings = self._folder / _TIMINGS
                self._trtexec(trt.arguments(network, unfinished, timings, interface))
                unfinished.replace(plan)
                self._forget_old_plans()
            return plan.read_bytes()
        except OSError as error:
            raise RunError(f"there is no room for an engine: {error}") from error
        finally:
            network.unlink(missing_ok=True)
            unfinished.unlink(missing_ok=True)

    def _forget_old_plans(self) -> None:
        """A trained version has one at each effort; what is asked for again is made again."""
        plans = sorted(self._folder.glob("*.plan"), key=lambda path: path.stat().st_mtime)
        for path in plans[:-_MOST_PLANS]:
            path.unlink()

    def _load_trtexec(self) -> None:
        files = {CONFIG: trt.config().encode(), f"{MODEL}1/model.py": _PROGRAM.read_bytes()}
        self._server.load(_BUILDER, files)

    def _trtexec(self, arguments: list[str]) -> None:
        feed = {
            trt.ARGUMENTS.name: np.array(arguments, np.object_),
            trt.SECONDS.name: np.array([self._engine_seconds], np.float32),
        }
        with _refusals(self._server):
            if not self._server.has(_BUILDER):
                self._load_trtexec()
            answer = self._server.infer(_BUILDER, feed, self._engine_seconds + _ANSWER_SECONDS)
        if int(answer[trt.EXIT_CODE.name][0]) != 0:
            log = answer[trt.LOG.name][0].decode(errors="replace")
            raise RunError(f"TensorRT makes no engine of it: {trt.complaint(log)}")


@contextmanager
def _refusals(server: TrialServer) -> Iterator[None]:
    """What Triton refuses is the network's fault, unless Triton is gone, or was started anew."""
    try:
        yield
    except TrialServerError as error:
        if server.has_all():
            raise RunError(first_line(error)) from error
        raise MachineGoneError(
            f"the Triton beside the build has gone ({first_line(error)}); where it was for lack of"
            " memory, raise spec.build.resources.limits.memory or set spec.build.engine:"
            " ONNXRuntime"
        ) from error
