"""The one kind of accelerator that a build and all replicas have, where a spec says so."""

from typing import Any

import pytest

from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.accelerator import accelerator_product, target_of
from dlagent.domain.artifact.request import Simulated, Target

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
    assert expected == accelerator_product(spec(serving, build))


def spec(serving: dict[str, Any], build: dict[str, Any] | None = None) -> DLAgentSpec:
    return DLAgentSpec.model_validate(
        {
            "model": {"source": {"uri": "pvc://models/net.onnx"}},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            "serving": serving,
            "build": build or {},
        }
    )


IMAGE = "registry/triton:26.02"
SIMULATED = Simulated(base_milliseconds=40, per_item_milliseconds=20)


@pytest.mark.parametrize(
    ("serving", "profile", "expected"),
    [
        pytest.param({}, ("cpu", None), ("cpu", None, None), id="a CPU"),
        pytest.param(
            GPU, ("cpu", None), ("nvidia.com/gpu", None, None), id="what the agent asks for"
        ),
        pytest.param(
            GPU | {"nodeSelector": A100},
            ("cpu", None),
            ("nvidia.com/gpu", "NVIDIA-A100-SXM4-40GB", IMAGE),
            id="its kind, and the image that makes engines for it",
        ),
        pytest.param(GPU, ("pool-7", None), ("pool-7", None, None), id="by the profile's name"),
        pytest.param(
            {"accelerator": {"resource": "nvidia.com/mig-1g.5gb"}, "nodeSelector": A100},
            ("pool-7", None),
            ("pool-7", "NVIDIA-A100-SXM4-40GB, nvidia.com/mig-1g.5gb", IMAGE),
            id="a part of a GPU is another kind",
        ),
        pytest.param(
            {},
            ("nvidia.com/gpu", None),
            ("cpu", None, None),
            id="a runtime for GPUs, and none asked for",
        ),
        pytest.param(
            GPU | {"nodeSelector": A100},
            ("simulated", SIMULATED),
            ("simulated", None, None),
            id="one that is simulated has no kind",
        ),
    ],
)
def test_what_an_artifact_is_built_for(
    serving: dict[str, Any],
    profile: tuple[str, Simulated | None],
    expected: tuple[str, str | None, str | None],
) -> None:
    accelerator, simulated = profile
    target = Target(triton_version="24.10", accelerator=accelerator, simulated=simulated)

    found = target_of(spec(serving), target, IMAGE)

    assert expected == (found.accelerator, found.accelerator_product, found.runtime_image)
    assert ("24.10", simulated) == (found.triton_version, found.simulated)
