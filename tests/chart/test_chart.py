"""The Helm chart as Helm 4 renders it: lint, settings, pod security, and each permission."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart
from helm_python.chart import lint
from helm_python.errors import HelmError

from dlagent.adapters.kinds import WATCHED
from dlagent.api.base import QUANTITY_PATTERN
from dlagent.runtime.settings import Settings, parse_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/dlagent-operator"
LOCAL_VALUES = ROOT / "local/dlagent_local/values.yaml"
RULES = CHART / "files/rules.yaml"
GOLDEN = Path(__file__).parent / "golden"
UPDATE = "DLAGENT_UPDATE_GOLDEN"

Json = dict[str, Any]

VALUES: dict[str, Json] = {
    "default": {},
    "two-namespaces": {"watchNamespaces": ["shop", "vision"], "replicas": 2},
    "rules": {"prometheusRule": {"enabled": True}},
    "secured-prometheus": {
        "volumes": [{"name": "prometheus", "secret": {"secretName": "prometheus-token"}}],
        "volumeMounts": [{"name": "prometheus", "mountPath": "/etc/prometheus", "readOnly": True}],
        "settings": {"prometheus": {"bearerTokenFile": "/etc/prometheus/token"}},
    },
    "local": yaml.safe_load(LOCAL_VALUES.read_text()) if LOCAL_VALUES.exists() else {},
}
each_values = pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())


def render(values: Json) -> list[Json]:
    """All objects, in the order of their files."""
    with Chart.load(CHART) as chart:
        texts = chart.render(values, name="dlagent-operator", namespace="dlagent-system")
    objects = []
    for path, text in sorted(texts.items()):
        if path.endswith(".yaml"):
            objects += [item for item in yaml.safe_load_all(text) if item]
    return objects


def of_kind(values: Json, kind: str) -> list[Json]:
    return [item for item in render(values) if item["kind"] == kind]


def settings_of(values: Json) -> Settings:
    (config,) = of_kind(values, "ConfigMap")
    return parse_settings(config["data"]["settings.yaml"])


@each_values
def test_lint_finds_nothing(values: Json) -> None:
    report = lint(CHART, values, strict=True)

    warnings = [m for m in report["messages"] if m["severity"] > 1]
    assert ([], []) == (report["errors"] or [], warnings)


@pytest.mark.parametrize(
    ("values", "golden"),
    [
        pytest.param({}, "rbac-cluster.yaml", id="all namespaces"),
        pytest.param(VALUES["two-namespaces"], "rbac-namespaces.yaml", id="two namespaces"),
    ],
)
def test_permissions_are_these_and_no_others(values: Json, golden: str) -> None:
    kinds = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount")
    rendered = [item for item in render(values) if item["kind"] in kinds]
    for item in rendered:
        item["metadata"].pop("labels")

    text = yaml.safe_dump_all(rendered, sort_keys=False)
    if os.environ.get(UPDATE):
        (GOLDEN / golden).write_text(text)
    assert (GOLDEN / golden).read_text() == text, f"if it is meant: {UPDATE}=1 make test-chart"


def rules(values: Json) -> list[Json]:
    roles = of_kind(values, "ClusterRole") + of_kind(values, "Role")
    return [rule for role in roles for rule in role["rules"]]


@each_values
def test_nothing_reads_secrets_and_nothing_is_a_wildcard(values: Json) -> None:
    for rule in rules(values):
        named = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert not named & {"*", "secrets", "impersonate", "escalate", "bind"}


@each_values
def test_the_operator_may_watch_what_it_watches(values: Json) -> None:
    watched = {(kind.group, kind.plural) for kind in WATCHED}

    allowed = {
        (group, resource)
        for rule in rules(values)
        if {"get", "list", "watch"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert watched == allowed


@each_values
def test_the_pod_is_restricted(values: Json) -> None:
    (deployment,) = of_kind(values, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert True is pod["securityContext"]["runAsNonRoot"]
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]


def test_a_token_of_prometheus_can_be_mounted() -> None:
    values = VALUES["secured-prometheus"]
    (deployment,) = of_kind(values, "Deployment")
    pod = deployment["spec"]["template"]["spec"]

    assert values["volumes"][0] in pod["volumes"]
    assert values["volumeMounts"][0] in pod["containers"][0]["volumeMounts"]
    assert Path("/etc/prometheus/token") == settings_of(values).prometheus.bearer_token_file


@each_values
def test_the_operator_can_read_its_settings(values: Json) -> None:
    settings = settings_of(values)

    assert values.get("watchNamespaces", []) == settings.watch.namespaces
    assert "triton" in settings.runtimes


@each_values
def test_the_lease_that_the_settings_name_is_the_one_allowed(values: Json) -> None:
    names = [name for rule in rules(values) for name in rule.get("resourceNames", [])]

    assert [settings_of(values).lease.name] == names


def test_the_default_runtime_is_a_release_without_known_holes() -> None:
    image = settings_of({}).runtimes["triton"].image

    repository, tag = image.split(":")
    assert "nvcr.io/nvidia/tritonserver" == repository
    assert (26, 2) <= tuple(map(int, tag.removesuffix("-py3").split(".")))


def test_other_settings_make_other_pods() -> None:
    def checksum(values: Json) -> str:
        (deployment,) = of_kind(values, "Deployment")
        annotations: dict[str, str] = deployment["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/settings"]

    assert checksum({}) != checksum({"settings": {"resyncSeconds": 60}})
    assert checksum({}) == checksum({"replicas": 2})


def test_the_crd_is_the_generated_one_and_helm_keeps_it() -> None:
    (crd,) = of_kind({}, "CustomResourceDefinition")

    assert {"helm.sh/resource-policy": "keep"} == crd["metadata"].pop("annotations")
    assert yaml.safe_load((ROOT / "crds/dlagents.yaml").read_text()) == crd


def test_the_crd_can_be_left_to_others() -> None:
    assert [] == of_kind({"crds": {"install": False}}, "CustomResourceDefinition")


def test_the_local_cluster_has_a_simulated_accelerator_beside_the_plain_runtime() -> None:
    runtimes = settings_of(VALUES["local"]).runtimes

    simulated = runtimes["simulated-accelerator"].target.simulated
    assert simulated is not None
    assert (40, 20) == (simulated.base_milliseconds, simulated.per_item_milliseconds)
    assert runtimes["triton"].target.simulated is None


def test_the_rules_are_left_out_unless_asked_for() -> None:
    assert [] == of_kind({}, "PrometheusRule")


def test_the_rules_are_those_of_the_file() -> None:
    values = {"prometheusRule": {"enabled": True, "labels": {"release": "stack"}}}

    (rule,) = of_kind(values, "PrometheusRule")

    assert yaml.safe_load(RULES.read_text()) == rule["spec"]
    assert "stack" == rule["metadata"]["labels"]["release"]


def test_the_rules_count_requests_by_agent() -> None:
    group, _ = yaml.safe_load(RULES.read_text())["groups"]

    assert "1m" == group["interval"]
    assert {
        f"dlagent:slo_{which}requests:increase5m": "sum by (agent_namespace, agent) "
        f"(increase(dlagent_slo_{which}requests_total[5m]))"
        for which in ("", "good_")
    } == {rule["record"]: rule["expr"] for rule in group["rules"]}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"replicaCount": 2}, id="a value that does not exist"),
        pytest.param({"watchNamespaces": ["No Name"]}, id="a namespace that cannot be"),
        pytest.param({"image": {"pullPolicy": "Sometimes"}}, id="an unknown pull policy"),
        pytest.param({"settings": {"watch": {}}}, id="a setting that is the chart's"),
        pytest.param({"settings": {"prometheus": {"url": "host:9090"}}}, id="a URL without http"),
        pytest.param(
            {"settings": {"artifacts": {"size": "20GB"}}}, id="a size that is no quantity"
        ),
        pytest.param(
            {"settings": {"builder": {"resources": {"limits": {"memory": "8GB"}}}}},
            id="a limit that is no quantity",
        ),
        pytest.param(
            {"settings": {"prices": {"accelerators": {"nvidia.com/gpu": 2.5}}}},
            id="prices in no currency",
        ),
        pytest.param({"prometheusRule": {"enabled": "yes"}}, id="a word where true is meant"),
        pytest.param(
            {"settings": {"runtimes": {"triton": {"target": {"simulated": {}}}}}},
            id="a simulated accelerator of no speed",
        ),
    ],
)
def test_wrong_values_are_refused(values: Json) -> None:
    with pytest.raises(HelmError), Chart.load(CHART) as chart:
        chart.validate_schema(values)


def test_a_quantity_is_the_same_to_the_chart_and_to_the_operator() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert QUANTITY_PATTERN == schema["$defs"]["quantity"]["pattern"]


@pytest.mark.parametrize("size", ["20Gi", "1.5Ti", "2e10", 20_000_000_000])
def test_a_size_is_any_quantity_of_kubernetes(size: str | int) -> None:
    values = {"settings": {"artifacts": {"size": size}}}

    with Chart.load(CHART) as chart:
        chart.validate_schema(values)
    assert str(size) == settings_of(values).artifacts.size
