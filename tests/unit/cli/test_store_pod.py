"""The way to a namespace's store without an agent in it: by the settings of its operator."""

from types import SimpleNamespace as Namespace
from typing import Any

import pytest
from kubernetes import client

from dlagent.cli.errors import CliError
from dlagent.cli.store_pod import ClusterStore

SETTINGS = """
builder: {{image: "builder-of-{name}"}}
runtimes: {{triton: {{image: triton, target: {{tritonVersion: "24.10"}}}}}}
artifacts: {{url: "s3://{name}/artifacts"}}
watch: {{namespaces: [{watched}]}}
"""


class FakeCluster:
    """Operators by their names, with the namespaces that each looks after; a store that is empty.

    What it is asked to run is in `pods`.
    """

    def __init__(self, operators: dict[str, str]) -> None:
        self.operators = operators
        self.pods: list[Any] = []

    def list_namespaced_deployment(self, _namespace: str, label_selector: str) -> Any:
        return Namespace(items=[])

    def list_config_map_for_all_namespaces(self, label_selector: str) -> Any:
        return Namespace(
            items=[
                Namespace(
                    metadata=Namespace(
                        namespace=name, labels={"app.kubernetes.io/instance": "dlagent-operator"}
                    ),
                    data={"settings.yaml": SETTINGS.format(name=name, watched=watched)},
                )
                for name, watched in self.operators.items()
            ]
        )

    def create_namespaced_pod(self, _namespace: str, body: Any) -> Any:
        self.pods.append(body)
        return Namespace(metadata=Namespace(name="dlagent-store-1"))

    def read_namespaced_pod(self, _name: str, _namespace: str) -> Any:
        return Namespace(status=Namespace(phase="Succeeded"))

    def read_namespaced_pod_log(self, *_: Any, **__: Any) -> Any:
        return Namespace(data=b"")

    def delete_namespaced_pod(self, *_: Any, **__: Any) -> None:
        pass


def opened(monkeypatch: pytest.MonkeyPatch, fake: FakeCluster) -> ClusterStore:
    for name in ("CoreV1Api", "AppsV1Api"):
        monkeypatch.setattr(client, name, lambda _: fake)
    return ClusterStore(client.ApiClient(), "vision")


@pytest.mark.parametrize(
    "operators",
    [
        pytest.param({"mine": ""}, id="one that looks after all"),
        pytest.param({"theirs": "audio", "mine": "text, vision"}, id="the one that looks here"),
    ],
)
def test_the_store_is_where_the_namespaces_own_operator_has_it(
    monkeypatch: pytest.MonkeyPatch, operators: dict[str, str]
) -> None:
    fake = FakeCluster(operators)
    opened(monkeypatch, fake).ask("list")
    (pod,) = fake.pods
    (container,) = pod["spec"]["containers"]
    assert "builder-of-mine" == container["image"]
    assert "s3://mine/artifacts/vision" in container["args"]


@pytest.mark.parametrize("operators", [{}, {"theirs": "audio"}])
def test_a_namespace_that_nobody_looks_after(
    monkeypatch: pytest.MonkeyPatch, operators: dict[str, str]
) -> None:
    with pytest.raises(CliError, match="looks after namespace vision: is it installed"):
        opened(monkeypatch, FakeCluster(operators)).ask("list")
