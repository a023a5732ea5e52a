"""The simulator of `dlagent replay` against the real Triton on the simulated accelerator.

The same arrivals go to both: Triton gets them from the load generator of `dlagent bench`, and the
simulator is given the moments at which they were sent, and how long batches took by Triton's own
account (a millisecond or two above what the accelerator promises; more on a busy machine, which is
no error of the simulator). Where a measurement disagrees it is made once more: other work on the
machine delays an answer by tens of milliseconds.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from tritonclient.http import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
    InferInput,
)

from dlagent.bench.sender import Limits, Post, Sender
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import ServingPlan
from dlagent.domain.scaling.service_time import ServiceTime, fit_service_time
from dlagent.replay.engine import Requests, replay
from dlagent.replay.kernel import Floats
from dlagent.replay.scraped import quantiles
from dlagent_local import standalone
from tests.integration.example_on_triton import manifest_of_example, put_model
from tests.unit.replay.worlds import Planned, fleet, world

MODEL = "simulated"
ACCELERATOR = Simulated(base_milliseconds=40, per_item_milliseconds=20)
NOMINAL = ServiceTime(0.04, 0.02, 8)
SECONDS = 25.0
SHARES = np.array([0.5, 0.99])
TOLERANCE = 0.1
ATTEMPTS = 2
AT_A_TIME = 24  # three full batches


@dataclass(frozen=True)
class Served:
    """A Triton with the model, by its client and its HTTP address."""

    client: InferenceServerClient
    address: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("replay")
    put_model(root / "models" / MODEL, manifest_of_example(), ServingPlan(8, 0, 1), ACCELERATOR)
    with standalone.triton(root / "models", root / "log") as triton:
        client = InferenceServerClient(triton.address, concurrency=AT_A_TIME)
        client.infer(MODEL, [picture()])  # the first request is slower than the others
        yield Served(client, triton.address)
        client.close()


def picture() -> InferInput:
    tensor = InferInput("picture", [1, 8, 8], "UINT8")
    tensor.set_data_from_numpy(np.zeros((1, 8, 8), np.uint8))
    return tensor


@dataclass(frozen=True)
class Run:
    """Of one load: when each request was sent, how long it took from then, and the batches."""

    sent: Floats
    latencies: Floats
    service: ServiceTime


def run(served: Served, times: Floats) -> Run:
    body, header = InferenceServerClient.generate_request_body([picture()])
    url = f"http://{served.address}/v2/models/{MODEL}/infer"
    sender = Sender(
        Post(url, bytes(body), {"Inference-Header-Content-Length": str(header)}), Limits()
    )
    before = batches(served.client)
    asyncio.run(sender.send(times.tolist()))
    found = sender.journal.requests()
    assert found.answered.all()
    sent = found.due_seconds + found.late_seconds
    order = np.argsort(sent)
    latencies = (found.latency_seconds - found.late_seconds).astype(np.float64)
    return Run(sent[order], latencies[order], service_between(before, batches(served.client)))


Batches = dict[int, tuple[int, float]]  # by size: how many, and their seconds


def batches(client: InferenceServerClient) -> Batches:
    (model,) = client.get_inference_statistics(MODEL)["model_stats"]
    parts = ("compute_input", "compute_infer", "compute_output")
    return {
        each["batch_size"]: (
            each["compute_infer"]["count"],
            sum(each[part]["ns"] for part in parts) / 1e9,
        )
        for each in model["batch_stats"]
    }


def service_between(before: Batches, after: Batches) -> ServiceTime:
    points = []
    for size, (count, seconds) in after.items():
        earlier_count, earlier_seconds = before.get(size, (0, 0.0))
        if count > earlier_count:
            points.append((size, (seconds - earlier_seconds) / (count - earlier_count)))
    service = fit_service_time(points, NOMINAL.max_batch)
    assert service is not None
    return service


def simulated(found: Run) -> Floats:
    """The median and the p99 of one pod, in seconds."""
    load = Requests(found.sent, np.zeros(len(found.sent)), SECONDS + 1)
    outcome = replay(world(service=found.service), load, Planned())
    assert len(found.sent) == outcome.latencies.sum()
    return quantiles(outcome.latencies, SHARES)


@pytest.mark.parametrize("rate", [15.0, 22.0, 30.0])
def test_the_median_and_the_p99_are_those_of_triton(served: Served, rate: float) -> None:
    gaps = np.random.default_rng(round(rate)).exponential(1 / rate, round(rate * SECONDS * 1.2))
    times: Floats = np.cumsum(gaps)
    times = times[times < SECONDS]
    for _ in range(ATTEMPTS):
        found = run(served, times)
        expected, real = simulated(found), np.quantile(found.latencies, SHARES)
        print(f"{rate:g}/s: Triton {real}, simulated {expected}, {found.service}")
        if (np.abs(expected / real - 1) <= TOLERANCE).all():
            break
    assert expected == pytest.approx(real, rel=TOLERANCE)


def test_full_batches_are_answered_as_fast_as_by_triton(served: Served) -> None:
    """As many as ever wait, for some seconds; the simulated pod has a queue that never ends."""
    some = fleet()
    some.send(np.zeros(2000), np.zeros(2000), 0, 1.0)
    at = [some.read([some.pods[0].slot], moment).answered[0] for moment in (10.0, 20.0)]
    expected = (at[1] - at[0]) / 10.0

    for _ in range(ATTEMPTS):
        real = closed_loop(served.client, seconds=6.0)
        print(f"Triton {real:.2f}/s, simulated {expected:.2f}/s")
        if abs(expected / real - 1) <= TOLERANCE:
            break

    assert NOMINAL.saturation == pytest.approx(expected, rel=0.001)
    assert expected == pytest.approx(real, rel=TOLERANCE)


def closed_loop(client: InferenceServerClient, seconds: float) -> float:
    """Answers a second, with AT_A_TIME requests under way all the time."""
    send = partial(client.async_infer, MODEL, [picture()])
    waiting = [send() for _ in range(AT_A_TIME)]
    answered, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        waiting.pop(0).get_result()
        waiting.append(send())
        answered += 1
    took = time.monotonic() - began
    for each in waiting:
        each.get_result()
    return answered / took
