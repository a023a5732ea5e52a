"""Where the table comes from, and that no Triton and no lack of time fails a build."""

import os
from pathlib import Path

import pytest

from dlagent.adapters.trial_server import TrialServerError
from dlagent.api.types import DataType, Tensor
from dlagent.build import measure as stage
from dlagent.build.failure import MachineGoneError
from dlagent.build.runtime import Session
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Target
from dlagent.domain.tuning.trials import Trial, trial_space

MODEL_REPO = Path(__file__).parents[3] / "model_repo"
TARGET = Target(triton_version="24.10", accelerator="cpu")
TENSORS = [Tensor(name="picture", data_type=DataType.UINT8, shape=[8, 8])]


class Clock:
    """In place of the module `time`; each trial takes a while."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def subject() -> stage.Subject:
    manifest = Manifest.model_validate_json((MODEL_REPO / "manifest.json").read_bytes())
    model = (MODEL_REPO / "model/1/model.onnx").read_bytes()
    return stage.Subject(model, manifest.interface, manifest.engine, free_size=1)


def test_without_a_triton_it_is_measured_in_process(subject: stage.Subject) -> None:
    found = stage.measure(subject, Session(subject.model), TARGET, trials=None)

    assert "measured in process" == found.how
    assert 1 == found.tau[0].batch
    assert {(1, 1)} == {(point.instances, point.threads) for point in found.tau}


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_triton_that_does_not_come_is_said_and_fails_nothing(
    subject: stage.Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(stage, "READY_SECONDS", seconds)

    found = stage.measure(subject, Session(subject.model), TARGET, tmp_path)

    why = "measured in process, since it was not possible on Triton: it did not answer within 0 s"
    assert why == found.how
    assert 1 == found.tau[0].batch


def test_what_a_cpu_takes_is_not_told_of_an_accelerator(
    subject: stage.Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be kept with the artifact, and replicas decided by it."""
    monkeypatch.setattr(stage, "READY_SECONDS", 0.0)
    target = Target(triton_version="24.10", accelerator="nvidia.com/gpu")

    with pytest.raises(MachineGoneError, match="a CPU tells nothing of it: it did not answer"):
        stage.measure(subject, Session(subject.model), target, tmp_path)

    without = stage.measure(subject, Session(subject.model), target, trials=None)
    assert "measured in process" == without.how


@pytest.mark.parametrize(
    ("seconds_each", "batches", "reason"),
    [
        pytest.param(0.5, [1, 64, 8], "the rest follows from what was measured", id="in time"),
        pytest.param(20, [1, 64], "30 s were over", id="no trial is begun late"),
        pytest.param(1000, [1], "30 s were over", id="but always the first"),
    ],
)
def test_the_stage_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, seconds_each: float, batches: list[int], reason: str
) -> None:
    clock = Clock()
    monkeypatch.setattr(stage, "time", clock)

    def milliseconds(trial: Trial) -> float:
        clock.now += seconds_each
        return 1.23456 + trial.batch

    points, why = stage.table(trial_space(True, 1), milliseconds)

    assert (batches, reason) == ([point.batch for point in points], why)
    assert 2.235 == points[0].milliseconds


def test_a_batch_that_is_refused_ends_it_with_what_was_measured() -> None:
    def milliseconds(trial: Trial) -> float:
        if trial.batch > 16:
            raise TrialServerError("out of memory")
        return 1.0 + trial.batch

    points, why = stage.table(trial_space(True, 1), milliseconds)

    assert [1] == [point.batch for point in points]
    assert "a batch of 64 was refused (out of memory)" == why


def test_one_that_is_refused_at_once_is_not_measured() -> None:
    def milliseconds(trial: Trial) -> float:
        raise TrialServerError(f"no batch of {trial.batch}")

    with pytest.raises(TrialServerError, match="no batch of 1"):
        stage.table(trial_space(True, 1), milliseconds)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param("200000 100000\n", 2, id="two cores"),
        pytest.param("50000 100000\n", 1, id="half a core is one"),
        pytest.param("max 100000\n", 8, id="no limit"),
        pytest.param(None, 8, id="no cgroup"),
    ],
)
def test_the_cores_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int
) -> None:
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(limit)
    monkeypatch.setattr(stage, "CPU_LIMIT", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))

    assert expected == stage.available_cores()


def test_a_model_without_batches_has_one_trial() -> None:
    interface = ModelInterface(inputs=TENSORS, outputs=TENSORS, batched=False)
    points, _ = stage.table(trial_space(interface.batched, 1), lambda _trial: 3.0)
    assert [1] == [point.batch for point in points]
