"""A build measures on the real Triton beside it, through the backend that will serve."""

import pytest

from dlagent.domain.artifact.summary import Summary
from harness import Json, eventually
from models import scaling_model, write
from rooms import Room


def recorded(room: Room) -> Summary:
    """What the build of the namespace's one artifact said."""
    records = eventually(
        lambda: room.kubectl.items("configmaps", "-l", "app.kubernetes.io/component=store"),
        within_seconds=300,
        what="a record of the build",
    )
    return Summary.model_validate_json(records[0]["data"]["summary"])


def beside_builds(room: Room) -> list[Json]:
    """The pods of builds in which a Triton still runs."""
    pods = room.kubectl.items("pods", "-l", "app.kubernetes.io/component=build")
    return [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]


@pytest.mark.parametrize(
    ("runtime", "milliseconds_of_one"),
    [pytest.param("triton", 0, id="CPU"), pytest.param("simulated-accelerator", 60, id="held")],
)
def test_batches_are_measured_on_the_runtime_that_serves(
    room: Room, runtime: str, milliseconds_of_one: float
) -> None:
    write(room.models, "model.onnx", scaling_model(3))
    room.agent().apply(room.spec(serving={"runtime": runtime}))

    told = recorded(room)

    assert "measured on Triton 2." in told.message
    assert told.tau[0].milliseconds >= milliseconds_of_one
    assert {1} < {point.instances for point in told.tau}
    # The Triton beside it ends with the build: no Job is held up.
    eventually(lambda: not beside_builds(room), what="the end of the build's pod")
    room.agent().wait_ready()
