"""The simulated accelerator on the real Triton: right answers, in the time that it promises.

The times are bounded below exactly and above generously: the machine may be busy.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tritonclient import http  # type: ignore[import-untyped]  # ships no types

from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.selfcheck import compare, golden_input
from dlagent.domain.artifact.triton_config import ServingPlan, simulated_of
from dlagent.domain.scaling.batch_counts import observed
from dlagent.domain.scaling.learning import Learned, learn, service_of
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.manifests.deployment import METRICS_ARGUMENTS
from dlagent_local import standalone
from tests.integration.counted import counts, settled_counts
from tests.integration.example_on_triton import manifest_of_example, put_model

SIMULATED = Simulated(base_milliseconds=40, per_item_milliseconds=20)
BATCHES_OF_8, TWO_INSTANCES, PLAIN = "batches-of-8", "two-instances", "plain"
PLANS = {
    BATCHES_OF_8: ServingPlan(8, 0, 1),
    TWO_INSTANCES: ServingPlan(1, 0, 2),
}
LATE_MILLISECONDS = 30


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return manifest_of_example()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> Iterator[standalone.Triton]:
    root = tmp_path_factory.mktemp("simulated")
    for name, plan in PLANS.items():
        put_model(root / "models" / name, manifest, plan, SIMULATED)
    put_model(root / "models" / PLAIN, manifest, ServingPlan(8, 0, 1), None)
    with standalone.triton(root / "models", root / "log", *METRICS_ARGUMENTS) as triton:
        yield triton


@pytest.fixture(scope="module")
def client(server: standalone.Triton) -> Iterator[http.InferenceServerClient]:
    client = http.InferenceServerClient(server.address, concurrency=8)
    for name in (*PLANS, PLAIN):  # the first request to a model is slower than the others
        client.infer(name, pictures(1))
    yield client
    client.close()


def pictures(rows: int) -> list[http.InferInput]:
    tensor = http.InferInput("picture", [rows, 8, 8], "UINT8")
    tensor.set_data_from_numpy(np.zeros((rows, 8, 8), np.uint8))
    return [tensor]


def milliseconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000


def together(client: http.InferenceServerClient, model: str, requests: int) -> None:
    sent = [client.async_infer(model, pictures(1)) for _ in range(requests)]
    for each in sent:
        each.get_result()


def test_the_answers_are_really_computed(
    client: http.InferenceServerClient, manifest: Manifest
) -> None:
    inputs = []
    for tensor in manifest.self_check.inputs:
        value = golden_input(manifest.self_check.seed, tensor)
        item = http.InferInput(tensor.name, list(value.shape), tensor.data_type)
        item.set_data_from_numpy(value)
        inputs.append(item)

    result = client.infer(BATCHES_OF_8, inputs)

    answer = {t.name: result.as_numpy(t.name) for t in manifest.interface.outputs}
    assert compare(manifest.self_check, answer) is None


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_a_batch_takes_what_it_would_take_there(
    client: http.InferenceServerClient, rows: int
) -> None:
    expected = SIMULATED.milliseconds(rows)

    taken = sorted(milliseconds(lambda: client.infer(BATCHES_OF_8, pictures(rows))) for _ in "123")

    assert expected <= taken[0]
    assert taken[1] < expected + LATE_MILLISECONDS


def test_requests_that_wait_share_a_batch(
    server: standalone.Triton, client: http.InferenceServerClient
) -> None:
    """Eight at once are two batches or three on a machine that has time for them."""
    before = settled_counts(server)

    taken = milliseconds(lambda: together(client, BATCHES_OF_8, 8))

    seen = observed(before, settled_counts(server), BATCHES_OF_8)
    assert seen is not None
    batches = sum(worked.batches for worked in seen.by_size.values())
    assert 8 == sum(size * worked.batches for size, worked in seen.by_size.items())
    assert 1 <= batches < 8
    assert batches * SIMULATED.base_milliseconds + 8 * SIMULATED.per_item_milliseconds <= taken


def test_two_instances_still_do_one_batch_at_a_time(client: http.InferenceServerClient) -> None:
    expected = 4 * SIMULATED.milliseconds(1)

    taken = milliseconds(lambda: together(client, TWO_INSTANCES, 4))

    assert expected <= taken < 2 * expected


def test_a_plain_model_beside_it_does_not_wait(client: http.InferenceServerClient) -> None:
    taken = sorted(milliseconds(lambda: client.infer(PLAIN, pictures(8))) for _ in range(9))

    assert taken[4] < SIMULATED.milliseconds(1) / 2


@pytest.mark.parametrize("mistake", [0.5, 2.0])
def test_its_times_are_learned_from_what_triton_counts(
    server: standalone.Triton, client: http.InferenceServerClient, mistake: float
) -> None:
    base, per_item = SIMULATED.base_milliseconds / 1000, SIMULATED.per_item_milliseconds / 1000
    prior = ServiceTime(mistake * base, mistake * per_item, max_batch=8)
    state = learn(Learned(), prior, counts(server), BATCHES_OF_8)
    for rows in (1, 2, 4) * 10:
        client.infer(BATCHES_OF_8, pictures(rows))

    state = learn(state, prior, counts(server), BATCHES_OF_8)

    for rows in (1, 8):
        expected = SIMULATED.milliseconds(rows)
        found = 1000 * service_of(state, prior).seconds(rows)
        # One look at 30 batches takes six sevenths of the mistake away.
        assert found == pytest.approx(expected * (1 + (mistake - 1) / 7), abs=LATE_MILLISECONDS)


def test_waiting_costs_no_cpu(
    client: http.InferenceServerClient, server: standalone.Triton
) -> None:
    before = cpu_seconds(server)

    taken = milliseconds(lambda: [client.infer(BATCHES_OF_8, pictures(8)) for _ in range(10)])

    assert taken >= 10 * SIMULATED.milliseconds(8)
    assert cpu_seconds(server) - before < 0.1 * taken / 1000


def cpu_seconds(server: standalone.Triton) -> float:
    process = psutil.Process(server.process_id)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@pytest.mark.parametrize(
    ("model", "expected"), [(BATCHES_OF_8, SIMULATED), (TWO_INSTANCES, SIMULATED), (PLAIN, None)]
)
def test_anybody_can_see_that_it_is_simulated(
    client: http.InferenceServerClient, model: str, expected: Simulated | None
) -> None:
    assert expected == simulated_of(client.get_model_config(model))


def test_triton_tells_the_quantiles_of_the_latency(
    client: http.InferenceServerClient, server: standalone.Triton
) -> None:
    client.infer(BATCHES_OF_8, pictures(1))

    quantiles = summary(server, BATCHES_OF_8)

    assert ["0.5", "0.9", "0.95", "0.99", "0.999"] == list(quantiles)
    assert all(value >= 1000 * SIMULATED.milliseconds(1) for value in quantiles.values())


def summary(server: standalone.Triton, model: str) -> dict[str, Any]:
    """Quantiles of the time in Triton, in microseconds, by their name."""
    families = text_string_to_metric_families(server.metrics())
    return {
        sample.labels["quantile"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "nv_inference_request_summary_us" and sample.labels["model"] == model
    }
