"""Warm-up requests and the response cache on the real Triton."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tritonclient import http  # type: ignore[import-untyped]  # ships no types

from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import ServingPlan, warm_up_requests
from dlagent.manifests.deployment import METRICS_ARGUMENTS, response_cache_arguments
from dlagent_local import standalone
from harness import eventually
from tests.integration.example_on_triton import manifest_of_example, put_model

SIMULATED = Simulated(base_milliseconds=200, per_item_milliseconds=10)
CACHED, PLAIN, SINGLE = "cached", "plain", "single"
PLANS = {
    PLAIN: ServingPlan(8, 0, 1),
    SINGLE: ServingPlan(1, 0, 2),
    CACHED: ServingPlan(8, 0, 1, response_cache=True),
}


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return manifest_of_example()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> Iterator[standalone.Triton]:
    root = tmp_path_factory.mktemp("options")
    for name, plan in PLANS.items():
        put_model(root / "models" / name, manifest, plan, SIMULATED)
    arguments = (*METRICS_ARGUMENTS, *response_cache_arguments())
    with standalone.triton(root / "models", root / "log", *arguments) as triton:
        yield triton


@pytest.fixture(scope="module")
def client(server: standalone.Triton) -> Iterator[http.InferenceServerClient]:
    client = http.InferenceServerClient(server.address)
    yield client
    client.close()


def counted(server: standalone.Triton, metric: str, model: str) -> float:
    """A counter of Triton; the parser gives its name the ending of OpenMetrics."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(server.metrics())
        for sample in family.samples
        if sample.name == f"{metric}_total" and sample.labels.get("model") == model
    )


def milliseconds(client: http.InferenceServerClient, model: str, brightness: int) -> float:
    """How long the answer for a picture takes."""
    picture = http.InferInput("picture", [1, 8, 8], "UINT8")
    picture.set_data_from_numpy(np.full((1, 8, 8), brightness, np.uint8))
    began = time.monotonic()
    client.infer(model, [picture])
    return (time.monotonic() - began) * 1000


@pytest.mark.parametrize(
    ("model", "executions", "rows"),
    [
        pytest.param(PLAIN, 2, 9, id="one batch of 1 and one of 8"),
        pytest.param(SINGLE, 2, 2, id="one batch of 1 in each instance"),
    ],
)
def test_the_first_request_comes_after_a_warm_up(
    server: standalone.Triton, manifest: Manifest, model: str, executions: int, rows: int
) -> None:
    """Nobody has asked these models, and Triton has counted its own requests."""
    assert executions == counted(server, "nv_inference_exec_count", model)
    assert rows == counted(server, "nv_inference_request_success", model)
    assert rows == counted(server, "nv_inference_count", model)
    assert rows == warm_up_requests(manifest.interface, PLANS[model])


def test_an_equal_request_is_answered_from_the_cache(
    client: http.InferenceServerClient, server: standalone.Triton
) -> None:
    computed = SIMULATED.milliseconds(1)
    names = ("nv_inference_request_success", "nv_inference_count")
    before = [counted(server, name, CACHED) for name in names]

    assert milliseconds(client, CACHED, 7) >= computed
    assert milliseconds(client, CACHED, 7) < computed / 2
    assert milliseconds(client, CACHED, 8) >= computed
    assert 1 == counted(server, "nv_cache_num_hits_per_model", CACHED)
    assert 2 == counted(server, "nv_cache_num_misses_per_model", CACHED)
    # What the scaler takes for the share that is computed; it is counted after the answer.
    eventually(
        lambda: [
            counted(server, name, CACHED) - early for name, early in zip(names, before, strict=True)
        ],
        lambda more: more == [3, 2],
    )
