"""The one kind of accelerator that a build and all replicas have, where a spec says so."""

from typing import Any

import pytest

from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.accelerator import accelerator_product

GPU = {"accelerator": {"resource": "nvidia.com/gpu"}}
A100 = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}
L4 = {"nvidia.com/gpu.product": "NVIDIA-L4"}


@pytest.mark.parametrize(
    ("serving", "build", "expected"),
    [
        pytest.param(GPU | {"nodeSelector": A100}, {}, "NVIDIA-A100-SXM4-40GB", id="one kind"),
        pytest.param(
            GPU | {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-l4"}},
            {},
            "nvidia-l4",
            id="by the label of a cloud",
        ),
        pytest.param(
            GPU | {"nodeSelector": A100},
            {"nodeSelector": A100 | {"pool": "builds"}},
            "NVIDIA-A100-SXM4-40GB",
            id="the build has the same",
        ),
        pytest.param(
            GPU | {"nodeSelector": A100}, {"nodeSelector": L4}, None, id="the build has another"
        ),
        pytest.param(
            GPU | {"nodeSelector": A100},
            {"nodeSelector": {"pool": "builds"}},
            None,
            id="the build may have another",
        ),
        pytest.param(GPU, {}, None, id="replicas may have any"),
        pytest.param(
            GPU | {"nodeSelector": {"pool": "gpus"}}, {}, None, id="a pool may have several"
        ),
        pytest.param({"nodeSelector": A100}, {}, None, id="replicas have none"),
    ],
)
def test_the_kind(serving: dict[str, Any], build: dict[str, Any], expected: str | None) -> None:
    spec = DLAgentSpec.model_validate(
        {
            "model": {"source": {"uri": "pvc://models/net.onnx"}},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            "serving": serving,
            "build": build,
        }
    )

    assert expected == accelerator_product(spec)
