"""Sources on the network: which policies a build gets, and what it takes to try it again."""

from typing import Any

import pytest

from dlagent.runtime.settings import Settings, parse_settings
from tests.unit.reconcile.fake import FakeCluster, agent_object
from tests.unit.reconcile.lives import message, told
from tests.unit.reconcile.operator_process import Operator

URI = "s3://models/shoes.onnx"


def with_network() -> Settings:
    return parse_settings(
        """
        builder:
          image: builder:1
          allowedSchemes: [pvc, s3]
          allowedHosts: ["*.models.internal"]
          egress: [{cidr: 10.1.2.0/24, port: 9000}]
          downloadCacheBytes: 5
        runtimes:
          triton: {image: triton:1, target: {tritonVersion: "24.10"}}
        """
    )


def policies(cluster: FakeCluster) -> dict[str, Any]:
    found = cluster.of_kind("NetworkPolicy")
    return {obj["metadata"]["name"]: obj["spec"] for obj in found}


def source(**fields: Any) -> dict[str, Any]:
    return {"source": {"uri": URI, **fields}}


def build_container(cluster: FakeCluster) -> Any:
    (job,) = cluster.of_kind("Job")
    return job["spec"]["template"]["spec"]["initContainers"][0]


async def test_a_source_on_the_network_is_let_out_and_gets_its_secret(
    cluster: FakeCluster,
) -> None:
    operator = Operator(cluster, with_network())
    cluster.put(agent_object(model=source(secretRef={"name": "model-store"})))
    await operator.visit_all()

    assert {"dlagent-build", "dlagent-build-sources"} <= policies(cluster).keys()
    last = policies(cluster)["dlagent-build-sources"]["egress"][-1]
    assert [{"ipBlock": {"cidr": "10.1.2.0/24"}}] == last["to"]
    container = build_container(cluster)
    assert [{"secretRef": {"name": "model-store"}}] == container["envFrom"]
    assert '"allowedHosts":["*.models.internal"]' in container["env"][0]["value"]
    assert '"downloadCacheBytes":5' in container["env"][0]["value"]


async def test_a_source_on_a_volume_is_not_let_out(cluster: FakeCluster) -> None:
    operator = Operator(cluster, with_network())
    cluster.put(agent_object())
    await operator.visit_all()

    assert "dlagent-build" in policies(cluster)
    assert "dlagent-build-sources" not in policies(cluster)


async def test_another_secret_is_another_try(cluster: FakeCluster) -> None:
    operator = Operator(cluster, with_network())
    cluster.put(agent_object(model=source(secretRef={"name": "wrong"})))
    await operator.settle()
    assert ("False", "SourceUnavailable") == told(cluster, "Ready")

    cluster.files[URI] = "b" * 64
    cluster.edit(model=source(secretRef={"name": "right"}))
    await operator.settle()

    assert ("True", "Serving") == told(cluster, "Ready")


@pytest.mark.parametrize("uri", ["gs://models/shoes.onnx", "https://models.example/shoes.onnx"])
async def test_a_scheme_that_the_settings_do_not_allow_is_told(
    cluster: FakeCluster, uri: str
) -> None:
    operator = Operator(cluster, with_network())
    cluster.put(agent_object(model={"source": {"uri": uri}}))
    await operator.settle()

    assert ("True", "InvalidSpec") == told(cluster, "Stalled")
    assert [] == cluster.of_kind("Job")


async def test_another_accelerator_starts_a_build_that_waits_for_one_anew(
    cluster: FakeCluster,
) -> None:
    """The build measures on what will serve, so that it needs the accelerator too."""
    operator = Operator(cluster)
    accelerator = {"resource": "nvidia.com/gpu", "count": 8}
    cluster.put(agent_object(serving={"accelerator": accelerator}))
    await operator.visit_all()
    (before,) = cluster.of_kind("Job")

    cluster.edit(serving={})
    for _ in range(3):
        await operator.visit_all()

    (after,) = cluster.of_kind("Job")
    assert before["metadata"]["uid"] != after["metadata"]["uid"]


@pytest.mark.parametrize(
    ("build", "field"),
    [
        pytest.param(
            {"dataset": {"uri": "gs://data/d.npz", "sha256": "1" * 64}},
            "spec.build.dataset.uri",
            id="a data set",
        ),
        pytest.param(
            {
                "dataset": {"uri": "s3://data/d.npz", "sha256": "1" * 64},
                "distill": {"student": {"uri": "gs://data/s.pt2", "sha256": "2" * 64}},
            },
            "spec.build.distill.student.uri",
            id="a student",
        ),
    ],
)
async def test_all_that_a_build_reads_must_be_of_an_allowed_scheme(
    cluster: FakeCluster, build: dict[str, Any], field: str
) -> None:
    operator = Operator(cluster, with_network())
    cluster.put(agent_object(build=build))
    await operator.visit_all()

    assert ("False", "InvalidSpec") == told(cluster, "Ready")
    assert f"Set {field} to one of" in message(cluster)
    assert [] == list(cluster.of_kind("Job"))
