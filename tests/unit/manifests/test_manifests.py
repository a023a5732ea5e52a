"""What we ask Kubernetes for: complete objects against golden files, and what must always hold.

After a change that is meant, write the golden files anew:
    DLAGENT_WRITE_GOLDEN=1 pytest tests/unit/manifests
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api import names
from dlagent.api.types import DLAgentSpec, Serving
from dlagent.domain.artifact.request import Target, build_request
from dlagent.manifests import build, deployment, network, store, trial_server
from dlagent.manifests.common import Object, Owner
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


def serving_deployment(serving: Serving, **drain: int) -> Object:
    settings = SETTINGS.drain.model_copy(update=drain)
    profile = SETTINGS.runtimes["triton"]
    return deployment.deployment(OWNER, REVISION, serving, profile, SETTINGS.builder, settings)


def build_job(uri: str = "pvc://models/shoes.onnx", **fields: Any) -> Object:
    spec = DLAgentSpec.model_validate(
        {
            "model": {"source": {"uri": uri}},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            **fields,
        }
    )
    target = Target(triton_version="24.10", accelerator="cpu")
    request = build_request(spec, None, target, 1000)
    profile = SETTINGS.runtimes["triton"]
    return build.job(OWNER, "b" * 16, request, spec, "o" * 16, SETTINGS.builder, profile)


ALL: list[tuple[str, Object]] = [
    ("deployment", serving_deployment(Serving())),
    ("deployment-full", serving_deployment(FULL)),
    ("job", build_job()),
    ("build-network-policy", build.network_policy("vision")),
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
    assert all({"emptyDir", "persistentVolumeClaim"} & volume.keys() for volume in spec["volumes"])
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
    assert {"claim", "record", "build-network-policy"} == without_owner


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


def test_a_build_that_cannot_succeed_is_not_tried_again() -> None:
    rules = build_job()["spec"]["podFailurePolicy"]["rules"]
    assert {"FailJob": [3]} == {
        rule["action"]: rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule
    }


def test_the_spec_of_a_build_wins_over_the_settings() -> None:
    limits = {"limits": {"memory": "1Gi"}}
    spec = build_job(build={"image": "mine:1", "timeoutMinutes": 2, "resources": limits})["spec"]
    pod = spec["template"]["spec"]
    container, beside = pod["containers"][0], pod["initContainers"][0]
    assert ("mine:1", 120) == (container["image"], spec["activeDeadlineSeconds"])
    assert limits == container["resources"] == beside["resources"]


def test_the_triton_that_a_build_measures_on_ends_with_it_and_is_on_no_network() -> None:
    pod = build_job()["spec"]["template"]["spec"]
    beside = pod["initContainers"][0]
    assert ("triton:1", "Always") == (beside["image"], beside["restartPolicy"])
    assert {"--allow-http=false", "--allow-metrics=false"} <= set(beside["args"])
    assert ["--grpc-address=unix:/trials/triton"] == [
        argument for argument in beside["args"] if "address" in argument
    ]
    assert "ports" not in beside
    shared = {mount["name"] for mount in beside["volumeMounts"]} & {
        mount["name"] for mount in pod["containers"][0]["volumeMounts"]
    }
    assert {"trials"} == shared  # neither the source nor the store


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
    beside = job["spec"]["template"]["spec"]["initContainers"][0]
    assert {"memory": "8Gi", "nvidia.com/gpu": "2"} == beside["resources"]["limits"]
