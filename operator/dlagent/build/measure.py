"""Stage 6: the time of a batch by its size, and by the instances and threads that work at once.

On the Triton beside the build where there is one, by the design of dlagent.domain.tuning.trials;
else in process, for one instance on one thread. A Triton that does not come, or refuses, fails no
build for a CPU: it is measured in process, and said.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dlagent.adapters.trial_server import TrialServer, TrialServerError
from dlagent.build.failure import MachineGoneError
from dlagent.build.measure_in_process import measure_in_process
from dlagent.build.network import sample
from dlagent.build.repository import repository
from dlagent.build.runtime import Answering
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import Configs, render
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.request import Scripts, Target
from dlagent.domain.artifact.triton_config import ServingPlan
from dlagent.domain.tuning.table import Workers
from dlagent.domain.tuning.trials import Done, Trial, TrialSpace, next_trial, trial_space

IN_PROCESS = "measured in process"
_MODEL = "measured"
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_MOST_TRIALS = 24
READY_SECONDS = 60.0
_STAGE_SECONDS = 30.0  # no trial begins later


@dataclass(frozen=True)
class Subject:
    """The agent's model, as it is to be measured; `scripts` make an ensemble of it."""

    model: bytes
    interface: ModelInterface
    engine: Engine
    free_size: int
    scripts: Scripts = field(default_factory=Scripts)


@dataclass(frozen=True)
class Measured:
    """The table, and how it was measured: `how` is the end of a sentence."""

    tau: list[TauPoint]
    how: str


def measure(subject: Subject, session: Answering, target: Target, trials: Path | None) -> Measured:
    """The table of an artifact; `trials` is the folder that a Triton shares, if there is one.

    Raises:
        BuildError: InvalidModel, where the model does not take a batch; Internal, where it is for
            an accelerator, and could not be measured on the Triton that is there.
    """
    why = ""
    if trials is not None:
        try:
            with TrialServer(trials) as server:
                server.wait(READY_SECONDS)
                return _on_triton(subject, target, server)
        except (TrialServerError, OSError) as error:
            if target.has_real_accelerator:
                raise MachineGoneError(
                    f"Triton could not be measured on {target.accelerator}, and a CPU tells nothing"
                    f" of it: {error}"
                ) from error
            why = f", since it was not possible on Triton: {error}"
    points = measure_in_process(session, subject.interface, subject.free_size, target.simulated)
    return Measured(points, IN_PROCESS + why)


def _on_triton(subject: Subject, target: Target, server: TrialServer) -> Measured:
    space = trial_space(subject.interface.batched, available_cores(), target.accelerated)
    loaded: Workers | None = None

    def milliseconds(trial: Trial) -> float:
        nonlocal loaded
        if trial.workers != loaded:
            configs = _configs(subject, target, space, trial.workers)
            files = repository(subject.model, configs, subject.scripts, subject.engine)
            server.load(_MODEL, files)
            loaded = trial.workers
        batch = trial.batch if subject.interface.batched else None
        feed = sample(subject.interface.inputs, "measure", batch, subject.free_size)
        return server.milliseconds(_MODEL, feed, trial.batch, trial.workers.instances)

    points, reason = table(space, milliseconds)
    return Measured(points, f"measured on Triton {server.version}, {len(points)} trials: {reason}")


def table(space: TrialSpace, milliseconds: Callable[[Trial], float]) -> tuple[list[TauPoint], str]:
    """All that the design wants to know, as far as there is time, and why it ended."""
    end = time.monotonic() + _STAGE_SECONDS
    points: list[TauPoint] = []
    while True:
        trial = next_trial(points, space, _MOST_TRIALS)
        if isinstance(trial, Done):
            return points, trial.reason
        if points and time.monotonic() > end:
            return points, f"{_STAGE_SECONDS:.0f} s were over"
        try:
            taken = milliseconds(trial)
        except TrialServerError as error:  # there may be no room for more
            if not points:
                raise
            return points, f"a batch of {trial.batch} was refused ({error})"
        points.append(
            TauPoint(
                batch=trial.batch,
                milliseconds=float(f"{taken:.4g}"),
                threads=trial.workers.threads,
                instances=trial.workers.instances,
            )
        )


def _configs(subject: Subject, target: Target, space: TrialSpace, workers: Workers) -> Configs:
    plan = ServingPlan(
        max_batch_size=space.batches[-1] if subject.interface.batched else 0,
        batch_delay_microseconds=0,
        instances=workers.instances,
        threads=workers.threads,
        accelerated=target.accelerated,
        gathers=False,
    )
    return render(subject.interface, plan, subject.engine, target.simulated)


def available_cores() -> int:
    """Those that this container may use; the Triton beside it has the same limits."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_LIMIT.read_text().split()
        return min(allowed, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup of its own, or no limit ("max")
        return allowed
