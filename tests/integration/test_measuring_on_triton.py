"""The build's stage that measures, on the real Triton: by the socket in a shared folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from dlagent.api.types import Tensor
from dlagent.build.measure import Subject, measure
from dlagent.build.runtime import Session
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Simulated, Target
from dlagent.domain.tuning.table import Workers, by_workers

ARTIFACT = Path(__file__).parents[2] / "model_repo"
SIMULATED = Simulated(base_milliseconds=40, per_item_milliseconds=20)
ON_DEVICE = Target(triton_version="24.10", accelerator="simulated", simulated=SIMULATED)
ON_CPU = Target(triton_version="24.10", accelerator="cpu")
LATE = 1.5  # times: the machine may be busy


@pytest.fixture(scope="module")
def subject() -> Subject:
    manifest = Manifest.model_validate_json((ARTIFACT / "manifest.json").read_bytes())
    model = (ARTIFACT / "model/1/model.onnx").read_bytes()
    return Subject(model, manifest.interface, manifest.engine, free_size=1)


def test_the_times_are_those_of_the_accelerator(trials: Path, subject: Subject) -> None:
    found = measure(subject, Session(subject.model), ON_DEVICE, trials)

    assert found.how.startswith("measured on Triton 2.")
    table = by_workers(found.tau)
    alone, two = table[Workers(1)], table[Workers(2)]
    assert len(alone) >= 3
    for instances, points in ((1, alone), (2, two)):
        for point in points:
            expected = instances * SIMULATED.milliseconds(point.batch)
            # Two that share a device take twice as long, but for a window's ragged ends.
            assert 0.9 * expected <= point.milliseconds <= LATE * expected


def test_the_cpu_is_measured_with_threads_and_instances(trials: Path, subject: Subject) -> None:
    found = measure(subject, Session(subject.model), ON_CPU, trials)

    assert found.how.startswith("measured on Triton 2.")
    assert Workers(1) in by_workers(found.tau)
    assert all(0 < point.milliseconds < 1000 for point in found.tau)


def test_a_model_without_a_batch_axis_is_measured_by_one_request(
    trials: Path, subject: Subject
) -> None:
    def complete(tensors: list[Tensor]) -> list[Tensor]:
        return [each.model_copy(update={"shape": [1, *each.shape]}) for each in tensors]

    interface = subject.interface.model_copy(
        update={
            "inputs": complete(subject.interface.inputs),
            "outputs": complete(subject.interface.outputs),
            "batched": False,
        }
    )
    found = measure(
        replace(subject, interface=interface), Session(subject.model), ON_DEVICE, trials
    )

    assert found.how.startswith("measured on Triton 2.")
    assert {1} == {point.batch for point in found.tau}
    assert found.tau[0].milliseconds >= SIMULATED.milliseconds(1)


def test_a_model_that_triton_refuses_is_measured_in_process(trials: Path, subject: Subject) -> None:
    """What Triton says is kept; the table is there all the same."""
    refused = replace(subject, model=b"no model")

    found = measure(refused, Session(subject.model), ON_CPU, trials)

    assert found.how.startswith("measured in process, since it was not possible on Triton: ")
    assert 1 == found.tau[0].batch
    again = measure(subject, Session(subject.model), ON_DEVICE, trials)
    assert again.how.startswith("measured on Triton 2.")
