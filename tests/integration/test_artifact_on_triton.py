"""The published artifact on the real Triton: its config is accepted, its golden answer comes back.

Triton runs here by itself, without a cluster, from the environment that the launcher installs;
where it is missing, it is installed first.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import http  # type: ignore[import-untyped]  # ships no types
from tritonclient.utils import (  # type: ignore[import-untyped]
    InferenceServerException,
)

from dlagent.adapters.store import FolderStore
from dlagent.api.types import Serving, Slo
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES, compare, golden_input
from dlagent.domain.artifact.triton_config import render_config, serving_plan
from dlagent.load.__main__ import main as load
from dlagent_local import standalone

REPOSITORY = Path(__file__).parents[2]
ARTIFACT = REPOSITORY / "model_repo"
AGENT = "brightest-quarter"


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Manifest.model_validate_json((ARTIFACT / "manifest.json").read_bytes())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Path:
    """Triton's model repository as the init container makes it for a revision."""
    root = tmp_path_factory.mktemp("triton")
    store = root / "store"
    FolderStore(store).publish(
        manifest.key,
        {path: (ARTIFACT / path).read_bytes() for path in (*manifest.files, "manifest.json")},
    )
    slo = Slo.model_validate({"latency": {"thresholdMilliseconds": 50}})
    plan = serving_plan(manifest.tau, Serving(), slo, manifest.interface)
    config = render_config(manifest.interface, plan, manifest.engine)
    models = root / "models"
    models.mkdir()
    arguments = ["--store", str(store), "--key", manifest.key, "--name", AGENT]
    arguments += ["--models", str(models), "--termination-log", str(root / "message")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLAGENT_CONFIG_PBTXT", config)
        assert 0 == load(arguments), (root / "message").read_text()
    return models


@pytest.fixture(scope="module")
def triton(loaded: Path) -> Iterator[http.InferenceServerClient]:
    with standalone.triton(loaded, loaded.parent / "triton.log") as server:
        client = http.InferenceServerClient(server.address)
        try:
            yield client
        finally:
            client.close()


def ask(
    client: http.InferenceServerClient, manifest: Manifest, feed: dict[str, Any]
) -> dict[str, Any]:
    inputs = []
    for tensor in manifest.self_check.inputs:
        value = feed[tensor.name]
        item = http.InferInput(tensor.name, list(value.shape), tensor.data_type)
        item.set_data_from_numpy(value)
        inputs.append(item)
    result = client.infer(AGENT, inputs)
    return {tensor.name: result.as_numpy(tensor.name) for tensor in manifest.interface.outputs}


def test_the_golden_input_gives_the_golden_output(
    triton: http.InferenceServerClient, manifest: Manifest
) -> None:
    feed = {t.name: golden_input(manifest.self_check.seed, t) for t in manifest.self_check.inputs}

    assert compare(manifest.self_check, ask(triton, manifest, feed)) is None


def test_triton_serves_the_interface_that_the_manifest_names(
    triton: http.InferenceServerClient, manifest: Manifest
) -> None:
    served = triton.get_model_metadata(AGENT)

    assert "onnxruntime_onnx" == served["platform"]
    for kind in ("inputs", "outputs"):
        expected = [
            {"name": t.name, "datatype": str(t.data_type), "shape": [-1, *t.shape]}
            for t in getattr(manifest.interface, kind)
        ]
        assert expected == served[kind]


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_batches_are_answered_row_by_row(
    triton: http.InferenceServerClient, manifest: Manifest, batch: int
) -> None:
    pictures = np.zeros((batch, 8, 8), NUMPY_TYPES[manifest.interface.inputs[0].data_type])
    brightest = [row % 4 for row in range(batch)]
    for row, quarter in enumerate(brightest):
        top, left = 4 * (quarter // 2), 4 * (quarter % 2)
        pictures[row, top : top + 4, left : left + 4] = 255

    answer = ask(triton, manifest, {"picture": pictures})

    assert brightest == answer["indices"][:, 0].tolist()
    assert (answer["values"][:, 0] > 0.9).all()


def test_a_batch_above_the_largest_is_refused(
    triton: http.InferenceServerClient, manifest: Manifest
) -> None:
    with pytest.raises(InferenceServerException, match="batch-size must be <= 32"):
        ask(triton, manifest, {"picture": np.zeros((33, 8, 8), np.uint8)})
