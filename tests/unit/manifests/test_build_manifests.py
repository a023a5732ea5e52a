"""What builds get and reach: the claim, the network, credentials, the Triton they measure on."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api import names
from dlagent.build.sources.guard import is_public
from dlagent.domain.artifact.summary import MESSAGE_BYTES
from dlagent.domain.build.containers import IN_ORDER
from dlagent.manifests import build, trial_server
from dlagent.manifests.common import Object
from dlagent.runtime.settings import ArtifactSettings
from tests.unit.manifests.objects import CLAIM, OBJECT_STORE, build_job, containers
from tests.unit.reconcile.fake import SETTINGS


@pytest.mark.parametrize(
    ("uri", "claim"),
    [
        ("pvc://models/a/b.onnx", "models"),
        ("pvc://models", "models"),
        ("s3://bucket/a.onnx", None),
        ("models/a.onnx", None),
    ],
)
def test_the_claim_of_a_source_is_mounted_read_only(uri: str, claim: str | None) -> None:
    assert claim == build.source_volume(uri)
    volumes = {item["name"]: item for item in build_job(uri)["spec"]["template"]["spec"]["volumes"]}
    if claim is None:
        assert "source" not in volumes
    else:
        expected = {"claimName": claim, "readOnly": True}
        assert expected == volumes["source"]["persistentVolumeClaim"]


@pytest.mark.parametrize(
    ("uri", "reaches"),
    [
        pytest.param("pvc://models/a.onnx", False, id="a volume needs no network"),
        pytest.param("s3://bucket/a.onnx", True, id="a bucket needs one"),
        pytest.param("https://host/a.onnx", True, id="a web server needs one"),
    ],
)
def test_only_builds_with_a_source_on_the_network_are_let_out(uri: str, reaches: bool) -> None:
    labels = build_job(uri)["spec"]["template"]["metadata"]["labels"]

    def selects(policy: Object) -> bool:
        wanted = policy["spec"]["podSelector"]["matchLabels"]
        return bool(labels.items() >= wanted.items())

    assert selects(build.network_policy("vision"))
    assert reaches is selects(build.egress_policy("vision", []))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param("pvc://models/a.onnx", {"a": "1", "network": "none"}, id="a volume"),
        pytest.param("s3://bucket/a.onnx", {"a": "1"}, id="a bucket"),
    ],
)
def test_only_builds_that_need_no_network_are_marked_as_isolated(
    uri: str, expected: dict[str, str]
) -> None:
    builder = SETTINGS.builder.model_copy(
        update={"pod_annotations": {"a": "1"}, "isolated_pod_annotations": {"network": "none"}}
    )
    template = build_job(uri, builder=builder)["spec"]["template"]
    assert expected == template["metadata"]["annotations"]


def let_out_to(address: Any) -> bool:
    public = build.egress_policy("vision", [])["spec"]["egress"][1]
    return any(
        address in ip_network(peer["ipBlock"]["cidr"])
        and not any(address in ip_network(hole) for hole in peer["ipBlock"].get("except", []))
        for peer in public["to"]
    )


@given(st.ip_addresses(v=4))
def test_a_build_is_let_out_to_public_addresses_only(address: Any) -> None:
    if let_out_to(address):
        assert is_public(str(address))


@pytest.mark.parametrize(
    ("address", "let_out"),
    [
        pytest.param("93.184.215.14", True, id="the public internet"),
        pytest.param("2606:2800:21f:cb07::1", True, id="the public internet by IPv6"),
        pytest.param("10.96.0.1", False, id="a Service"),
        pytest.param("169.254.169.254", False, id="the metadata of a cloud"),
        pytest.param("fd00:ec2::254", False, id="the metadata of a cloud by IPv6"),
        pytest.param("::ffff:10.0.0.1", False, id="a private address in IPv6"),
    ],
)
def test_an_address_is_let_out_to_or_not(address: str, let_out: bool) -> None:
    assert let_out is let_out_to(ip_address(address))


def part(job: Object, name: str) -> Any:
    """A container of a build's pod."""
    return next(item for item in containers(job) if item["name"] == name)


def mounted(container: Any) -> dict[str, bool]:
    """The folders of a container, and whether it may write to each."""
    return {
        mount["mountPath"]: not mount.get("readOnly", False) for mount in container["volumeMounts"]
    }


def test_the_secret_is_variables_and_files_of_what_fetches() -> None:
    job = build_job("s3://models/a.onnx", secret="store")
    spec = job["spec"]["template"]["spec"]
    assert [{"secretRef": {"name": "store"}}] == part(job, "fetch")["envFrom"]
    files = [volume["projected"] for volume in spec["volumes"] if "projected" in volume]
    assert [{"sources": [{"secret": {"name": "store", "optional": True}}]}] == files


def test_the_data_set_and_the_student_are_reached_as_the_source_is() -> None:
    student = {"uri": "pvc://students/s.pt2", "sha256": "2" * 64, "secretRef": {"name": "more"}}
    options = {
        "dataset": {"uri": "pvc://models/d.npz", "sha256": "1" * 64, "secretRef": {"name": "keys"}},
        "distill": {"student": student},
    }
    job = build_job(secret="keys", build=options)
    spec = job["spec"]["template"]["spec"]

    claims = [
        v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "source" in v["name"]
    ]
    assert ["models", "students"] == claims
    assert ["keys", "more"] == [e["secretRef"]["name"] for e in part(job, "fetch")["envFrom"]]


def test_a_data_set_on_the_network_lets_the_build_out() -> None:
    dataset = {"dataset": {"uri": "s3://data/d.npz", "sha256": "1" * 64}}
    labels = build_job(build=dataset)["spec"]["template"]["metadata"]["labels"]
    assert names.NETWORK_SOURCES == labels[names.NETWORK_LABEL]


@pytest.mark.parametrize("artifacts", [CLAIM, OBJECT_STORE], ids=["a claim", "an object store"])
def test_what_reads_models_has_neither_credentials_nor_sources_nor_the_store(
    artifacts: ArtifactSettings,
) -> None:
    dataset = {"uri": "pvc://data/d.npz", "sha256": "1" * 64, "secretRef": {"name": "more"}}
    job = build_job(secret="keys", artifacts=artifacts, build={"dataset": dataset})

    reads = part(job, "build")

    assert "envFrom" not in reads
    assert ["DLAGENT_BUILD_REQUEST", "TMPDIR", "HOME"] == [item["name"] for item in reads["env"]]
    writable = {"/output": True, "/scratch": True, "/trials": True}
    assert {"/fetched": False} | writable == mounted(reads)


def test_what_fetches_and_what_publishes_share_no_folder_that_a_model_could_have_written_to() -> (
    None
):
    job = build_job("s3://models/a.onnx", secret="keys")
    volumes = {
        name: {mount["name"] for mount in part(job, name)["volumeMounts"]} for name in IN_ORDER
    }
    assert {"fetched"} == volumes["fetch"] & volumes["build"]
    assert {"fetched", "output"} == volumes["publish"] & volumes["build"]
    assert {"/artifacts": True, "/fetched": False, "/output": False} == mounted(
        part(job, "publish")
    )


def test_a_build_without_credentials_gets_none() -> None:
    job = build_job("s3://models/a.onnx")
    assert not any("envFrom" in container for container in containers(job))
    assert not any("projected" in volume for volume in job["spec"]["template"]["spec"]["volumes"])


def test_a_builds_message_is_no_longer_than_kubelet_keeps_of_so_many_containers() -> None:
    bytes_of_a_pod = 12 * 1024  # MaxPodTerminationMessageLogLength
    assert len(containers(build_job())) * MESSAGE_BYTES < bytes_of_a_pod


def test_a_build_that_cannot_succeed_is_not_tried_again() -> None:
    rules = build_job()["spec"]["podFailurePolicy"]["rules"]
    assert [("FailJob", name, [3]) for name in IN_ORDER] == [
        (rule["action"], rule["onExitCodes"]["containerName"], rule["onExitCodes"]["values"])
        for rule in rules
        if "onExitCodes" in rule
    ]


def test_the_spec_of_a_build_wins_over_the_settings() -> None:
    limits = {"limits": {"memory": "1Gi"}}
    spec = build_job(build={"image": "mine:1", "timeoutMinutes": 2, "resources": limits})["spec"]
    found = {container["name"]: container for container in containers({"spec": spec})}
    assert 120 == spec["activeDeadlineSeconds"]
    images = {name: container["image"] for name, container in found.items()}
    # What has credentials or the store runs no code that an agent's author has chosen.
    ours = SETTINGS.builder.image
    expected = {"fetch": ours, "triton": "triton:1", "build": "mine:1", "publish": ours}
    assert expected == images
    assert all(limits == container["resources"] for container in found.values())


def test_the_triton_that_a_build_measures_on_ends_with_it_and_is_on_no_network() -> None:
    job = build_job()
    beside = part(job, "triton")
    assert ("triton:1", "Always") == (beside["image"], beside["restartPolicy"])
    assert {"--allow-http=false", "--allow-metrics=false"} <= set(beside["args"])
    assert ["--grpc-address=unix:/trials/triton"] == [
        argument for argument in beside["args"] if "address" in argument
    ]
    assert "ports" not in beside
    for name, expected in (("fetch", set()), ("build", {"trials"}), ("publish", set())):
        shared = {mount["name"] for mount in beside["volumeMounts"]} & {
            mount["name"] for mount in part(job, name)["volumeMounts"]
        }
        assert expected == shared, name


def test_what_a_runtime_says_of_its_addresses_does_not_put_it_on_the_network() -> None:
    profile = SETTINGS.runtimes["triton"].model_copy(
        update={"args": ["--grpc-address=$(POD_IP)", "--x"], "command": ["tritonserver"]}
    )
    beside = trial_server.trial_server(profile, SETTINGS.builder.resources, None)
    assert ["tritonserver"] == beside["command"]
    assert beside["args"].index("--grpc-address=unix:/trials/triton") > beside["args"].index(
        "--grpc-address=$(POD_IP)"
    )


def test_a_build_on_an_accelerator_runs_where_replicas_do_unless_told_else() -> None:
    nodes = {"nvidia.com/gpu.product": "NVIDIA-L4"}
    taints = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    serving = {
        "accelerator": {"resource": "nvidia.com/gpu"},
        "nodeSelector": nodes,
        "tolerations": taints,
        "runtimeClassName": "nvidia",
    }

    pod = build_job(serving=serving)["spec"]["template"]["spec"]
    assert (nodes, taints) == (pod["nodeSelector"], pod["tolerations"])
    assert "nvidia" == pod["runtimeClassName"]

    elsewhere = build_job(serving=serving, build={"nodeSelector": {"pool": "builds"}})
    assert {"pool": "builds"} == elsewhere["spec"]["template"]["spec"]["nodeSelector"]

    del serving["accelerator"]
    assert "nodeSelector" not in build_job(serving=serving)["spec"]["template"]["spec"]


def test_a_build_measures_on_the_accelerator_that_a_replica_will_have() -> None:
    job = build_job(serving={"accelerator": {"resource": "nvidia.com/gpu", "count": 2}})
    beside = part(job, "triton")
    assert {"memory": "8Gi", "nvidia.com/gpu": "2"} == beside["resources"]["limits"]
