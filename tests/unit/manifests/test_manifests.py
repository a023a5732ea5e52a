"""What we ask Kubernetes for: complete objects against golden files, and what must always hold.

After a change that is meant, write the golden files anew:
    DLAGENT_WRITE_GOLDEN=1 pytest tests/unit/manifests
"""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api import names
from dlagent.api.types import Serving
from dlagent.domain.artifact.ensemble import Configs
from dlagent.domain.sweep.unused import SweepReport
from dlagent.manifests import build, deployment, network, store, sweep
from dlagent.manifests.common import Object
from dlagent.runtime.settings import ArtifactSettings
from tests.unit.manifests.objects import (
    CLAIM,
    EGRESS,
    OBJECT_STORE,
    OWNER,
    REVISION,
    build_job,
    containers,
    env_from,
    serving_deployment,
    triton,
)
from tests.unit.reconcile.build_summary import summary
from tests.unit.reconcile.fake import SETTINGS

GOLDEN = Path(__file__).parent / "golden"
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


@pytest.mark.parametrize(("sleep", "exit_timeout", "expected"), [(5, 30, 40), (0, 10, 15)])
def test_a_pod_has_time_to_drain(sleep: int, exit_timeout: int, expected: int) -> None:
    obj = serving_deployment(Serving(), sleep_seconds=sleep, exit_timeout_seconds=exit_timeout)
    assert expected == obj["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert f"--exit-timeout-secs={exit_timeout}" in triton(obj)["args"]
    assert (sleep > 0) == ("lifecycle" in triton(obj))


@pytest.mark.parametrize(("version", "expected"), [("24.10", 0), ("26.02", 1)])
def test_a_triton_that_has_histograms_is_asked_for_them(version: str, expected: int) -> None:
    profile = SETTINGS.runtimes["triton"]
    target = profile.target.model_copy(update={"triton_version": version})
    obj = deployment.deployment(
        OWNER,
        REVISION,
        Serving(),
        profile.model_copy(update={"target": target}),
        SETTINGS.builder,
        SETTINGS.drain,
        SETTINGS.artifacts,
    )
    arguments = triton(obj)["args"]
    assert expected == arguments.count("--metrics-config=histogram_latencies=true")
    assert "--metrics-config=summary_latencies=true" in arguments


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


def test_a_loader_gets_the_configurations_of_an_ensembles_members() -> None:
    configs = Configs("of the agent", {"decide_": "of the network", "act_": "of the script"})
    profile = SETTINGS.runtimes["triton"]

    made = deployment.deployment(
        OWNER,
        replace(REVISION, configs=configs),
        Serving(),
        profile,
        SETTINGS.builder,
        SETTINGS.drain,
        CLAIM,
    )

    (loader,) = made["spec"]["template"]["spec"]["initContainers"]
    given = {item["name"]: item["value"] for item in loader["env"]}
    assert "of the agent" == given["DLAGENT_CONFIG_PBTXT"]
    assert configs.members == json.loads(given["DLAGENT_MEMBER_CONFIGS"])
