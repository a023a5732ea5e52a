"""What we ask Kubernetes for: complete objects against golden files, and what must always hold.

After a change that is meant, write the golden files anew:
    DLAGENT_WRITE_GOLDEN=1 pytest tests/unit/manifests
"""

import os
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api import names
from dlagent.api.types import DLAgentSpec, Serving
from dlagent.build.sources.guard import is_public
from dlagent.domain.artifact.request import Target, build_request
from dlagent.domain.artifact.summary import MESSAGE_BYTES
from dlagent.domain.build.containers import IN_ORDER
from dlagent.domain.sweep.unused import SweepReport
from dlagent.manifests import build, deployment, network, store, sweep, trial_server
from dlagent.manifests.common import Object, Owner
from dlagent.runtime.settings import ArtifactSettings, BuilderSettings, Egress
from tests.unit.reconcile.fake import SETTINGS, summary

GOLDEN = Path(__file__).parent / "golden"
OWNER = Owner("vision", "shoes", "uid-1")
REVISION = deployment.Revision("0123456789abcdef", "a" * 64, 10_000_000, 'backend: "onnxruntime"\n')
FULL = Serving.model_validate(
    {
        "accelerator": {"resource": "nvidia.com/gpu", "count": 2},
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": [{"name": "registry"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "podLabels": {"team": "vision"},
        "podAnnotations": {"note": "x"},
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "responseCache": True,
    }
)


CLAIM = SETTINGS.artifacts
OBJECT_STORE = ArtifactSettings.model_validate(
    {
        "url": "s3://bucket/prefix/",
        "secretName": "store-keys",
        "egress": [{"cidr": "10.1.2.0/24", "port": 9000}],
    }
)


def serving_deployment(
    serving: Serving, artifacts: ArtifactSettings = CLAIM, **drain: int
) -> Object:
    settings = SETTINGS.drain.model_copy(update=drain)
    profile = SETTINGS.runtimes["triton"]
    return deployment.deployment(
        OWNER, REVISION, serving, profile, SETTINGS.builder, settings, artifacts
    )


def build_job(
    uri: str = "pvc://models/shoes.onnx",
    secret: str | None = None,
    artifacts: ArtifactSettings = CLAIM,
    builder: BuilderSettings = SETTINGS.builder,
    **fields: Any,
) -> Object:
    source = {"uri": uri} | ({"secretRef": {"name": secret}} if secret is not None else {})
    spec = DLAgentSpec.model_validate(
        {
            "model": {"source": source},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            **fields,
        }
    )
    target = Target(triton_version="24.10", accelerator="cpu")
    request = build_request(spec, None, target, 1000)
    profile = SETTINGS.runtimes["triton"]
    return build.job(OWNER, "b" * 16, request, spec, "o" * 16, builder, profile, artifacts)


EGRESS = [
    Egress.model_validate({"cidr": "10.1.2.0/24", "port": 9000}),
    Egress.model_validate({"cidr": "169.254.20.10/32", "port": 53, "protocol": "UDP"}),
]


def sweep_job(artifacts: ArtifactSettings) -> Object:
    return sweep.job("vision", ["a" * 16, "b" * 16], 168.0, SETTINGS.builder, artifacts)


SWEPT_AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALL: list[tuple[str, Object]] = [
    ("deployment", serving_deployment(Serving())),
    ("deployment-full", serving_deployment(FULL)),
    ("deployment-object-store", serving_deployment(Serving(), OBJECT_STORE)),
    ("job", build_job()),
    ("job-network", build_job("s3://models/shoes.onnx", secret="model-store")),
    ("job-object-store", build_job(artifacts=OBJECT_STORE)),
    ("build-network-policy", build.network_policy("vision")),
    ("build-egress-policy", build.egress_policy("vision", EGRESS)),
    ("store-network-policy", store.network_policy("vision", CLAIM)),
    ("store-network-policy-object-store", store.network_policy("vision", OBJECT_STORE)),
    ("sweep-job", sweep_job(CLAIM)),
    ("sweep-job-object-store", sweep_job(OBJECT_STORE)),
    ("sweep-outcome", sweep.outcome("vision", SWEPT_AT, SweepReport(removed_count=1), None)),
    ("claim", store.claim("vision", SETTINGS.artifacts)),
    ("record", store.record("vision", "a" * 64, summary("a" * 64, "b" * 64))),
    ("service", network.service(OWNER, REVISION.id)),
    ("headless-service", network.headless_service(OWNER)),
    ("disruption-budget", network.disruption_budget(OWNER)),
    ("service-account", network.service_account(OWNER)),
    ("network-policy", network.network_policy(OWNER)),
]
PODS = [(name, obj["spec"]["template"]) for name, obj in ALL if "template" in obj.get("spec", {})]


@pytest.mark.parametrize(("name", "obj"), ALL, ids=[name for name, _ in ALL])
def test_the_object_is_the_golden_one(name: str, obj: Object) -> None:
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("DLAGENT_WRITE_GOLDEN"):
        path.write_text(yaml.safe_dump(obj, sort_keys=True))
    assert yaml.safe_load(path.read_text()) == obj


@pytest.mark.parametrize(("_name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_pods_keep_to_pod_security_restricted(_name: str, pod: Object) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert {"type": "RuntimeDefault"} == spec["securityContext"]["seccompProfile"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    allowed = {"emptyDir", "persistentVolumeClaim", "projected"}
    assert all(allowed & volume.keys() for volume in spec["volumes"])
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert {"drop": ["ALL"]} == security["capabilities"]
        assert all("hostPort" not in port for port in container.get("ports", []))


@pytest.mark.parametrize(("_name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_pods_get_no_token_of_a_service_account(_name: str, pod: Object) -> None:
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_every_object_is_labelled_as_ours() -> None:
    for name, obj in ALL:
        assert names.MANAGED_BY == obj["metadata"]["labels"][names.MANAGED_BY_LABEL], name


def test_the_store_outlives_agents_and_all_else_goes_with_them() -> None:
    without_owner = {name for name, obj in ALL if "ownerReferences" not in obj["metadata"]}
    policies = {name for name in without_owner if name.endswith(("policy", "policy-object-store"))}
    sweeps = {"sweep-job", "sweep-job-object-store", "sweep-outcome"}
    assert {"claim", "record"} == without_owner - policies - sweeps
    assert "network-policy" not in policies


def test_credentials_of_the_store_are_in_its_own_programs_alone() -> None:
    pods = {
        name: [
            container["name"]
            for container in containers(obj)
            if any(source.get("prefix") == names.STORE_PREFIX for source in env_from(container))
        ]
        for name, obj in ALL
        if "template" in obj.get("spec", {})
    }
    expected = {
        "deployment-object-store": ["load"],
        "job-object-store": ["fetch", "publish"],
        "sweep-job-object-store": ["store"],
    }
    assert expected == {name: holders for name, holders in pods.items() if holders}


def env_from(container: Any) -> list[Any]:
    found: list[Any] = container.get("envFrom", [])
    return found


def containers(obj: Object) -> list[Any]:
    spec = obj["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_a_namespace_has_a_part_of_the_object_store_to_itself() -> None:
    here, there = (store.access(name, OBJECT_STORE, read_only=True) for name in ("a", "b"))

    assert ("s3://bucket/prefix/a", "s3://bucket/prefix/b") == (here.location, there.location)


def test_an_object_store_without_a_secret_needs_none() -> None:
    anonymous = ArtifactSettings(url="s3://bucket")

    assert store.Access("s3://bucket/a") == store.access("a", anonymous, read_only=False)


def test_only_with_an_object_store_may_serving_pods_reach_anything() -> None:
    of_claim, of_objects = (store.network_policy("a", kind) for kind in (CLAIM, OBJECT_STORE))

    assert [] == of_claim["spec"]["egress"]
    chosen = [p["spec"]["podSelector"]["matchExpressions"] for p in (of_claim, of_objects)]
    assert [["store"], ["build", "serving", "store"]] == [item[0]["values"] for item in chosen]
    ports = [port["port"] for rule in of_objects["spec"]["egress"] for port in rule["ports"]]
    assert [53, 53, 443, 9000] == ports


def test_serving_selectors_never_match_build_pods() -> None:
    build_labels = build_job()["spec"]["template"]["metadata"]["labels"]
    selectors = [
        serving_deployment(Serving())["spec"]["selector"]["matchLabels"],
        network.service(OWNER, REVISION.id)["spec"]["selector"],
        network.headless_service(OWNER)["spec"]["selector"],
        network.disruption_budget(OWNER)["spec"]["selector"]["matchLabels"],
        network.network_policy(OWNER)["spec"]["podSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert "serving" == selector[names.COMPONENT_LABEL]
        assert not build_labels.items() >= selector.items()


LABELS = st.dictionaries(
    st.sampled_from([names.NAME_LABEL, names.COMPONENT_LABEL, names.REVISION_LABEL, "team", "app"]),
    st.text("abc", max_size=3),
)


@given(LABELS)
def test_a_users_labels_never_take_a_pod_out_of_its_selectors(labels: dict[str, str]) -> None:
    obj = serving_deployment(Serving(pod_labels=labels))
    pod_labels = obj["spec"]["template"]["metadata"]["labels"]
    assert pod_labels.items() >= obj["spec"]["selector"]["matchLabels"].items()


def test_replicas_are_left_to_the_scaler() -> None:
    assert "replicas" not in serving_deployment(FULL)["spec"]
    partial = deployment.scale("vision", "shoes-01234567", "uid-2", 3)
    assert {"replicas": 3} == partial["spec"]


def triton(obj: Object) -> Any:
    return obj["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("sleep", "exit_timeout", "expected"), [(5, 30, 40), (0, 10, 15)])
def test_a_pod_has_time_to_drain(sleep: int, exit_timeout: int, expected: int) -> None:
    obj = serving_deployment(Serving(), sleep_seconds=sleep, exit_timeout_seconds=exit_timeout)
    assert expected == obj["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert f"--exit-timeout-secs={exit_timeout}" in triton(obj)["args"]
    assert (sleep > 0) == ("lifecycle" in triton(obj))


def test_the_pods_address_comes_first_and_cannot_be_replaced() -> None:
    mine = [{"name": "A", "value": "$(POD_IP)"}, {"name": "POD_IP", "value": "evil"}]
    env = triton(serving_deployment(Serving(env=mine)))["env"]
    assert ["POD_IP", "A"] == [item["name"] for item in env]
    assert "valueFrom" in env[0]


def test_the_template_version_changes_with_what_is_rendered_only() -> None:
    def version(obj: Object) -> str:
        return str(obj["metadata"]["annotations"][names.TEMPLATE_VERSION_ANNOTATION])

    plain = version(serving_deployment(Serving()))
    assert plain == version(serving_deployment(Serving()))
    assert plain != version(serving_deployment(Serving(), sleep_seconds=6))


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


def test_a_build_measures_on_the_accelerator_that_a_replica_will_have() -> None:
    job = build_job(serving={"accelerator": {"resource": "nvidia.com/gpu", "count": 2}})
    beside = part(job, "triton")
    assert {"memory": "8Gi", "nvidia.com/gpu": "2"} == beside["resources"]["limits"]
