"""What is written in two places for the local cluster says the same in both."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dlagent_local import deploy
from dlagent_local.kube import load_manifests

FOLDER = Path(deploy.__file__).parent


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """Those of Prometheus, by kind; there is one ConfigMap among them."""
    return {obj["kind"]: obj for obj in load_manifests(FOLDER / "manifests/monitoring.yaml")}


@pytest.fixture(scope="module")
def configuration(manifests: dict[str, Any]) -> Any:
    return yaml.safe_load(manifests["ConfigMap"]["data"]["prometheus.yml"])


def test_prometheus_loads_the_rules_of_the_chart(
    manifests: dict[str, Any], configuration: Any
) -> None:
    rules = deploy.prometheus_rules()
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    sources = pod["volumes"][0]["projected"]["sources"]
    folder = pod["containers"][0]["volumeMounts"][0]["mountPath"]

    assert rules["metadata"]["name"] in [source["configMap"]["name"] for source in sources]
    assert [f"{folder}/{name}" for name in rules["data"]] == configuration["rule_files"]
    assert "dlagent:slo_requests:increase5m" in rules["data"]["rules.yaml"]


def test_the_operator_is_told_how_often_prometheus_scrapes(configuration: Any) -> None:
    values = yaml.safe_load((FOLDER / "values.yaml").read_text())

    told = values["settings"]["prometheus"]["scrapeIntervalSeconds"]
    assert configuration["global"]["scrape_interval"] == f"{told}s"


def test_only_the_speed_differs_between_the_two_runtimes() -> None:
    runtimes = yaml.safe_load((FOLDER / "values.yaml").read_text())["settings"]["runtimes"]

    plain, simulated = (
        {key: value for key, value in runtimes[name].items() if key != "target"}
        for name in ("triton", "simulated-accelerator")
    )
    assert plain == simulated
