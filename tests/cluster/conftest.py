"""The cluster under these tests: one real Kubernetes with the operator, for the whole session.

DLAGENT_TEST_CLUSTER names a local cluster that is up already (`dlagent local up --name ...`): it is
used and left as it is, which makes a quick loop while a test is being written.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlagent_local.cluster import Cluster
from harness import Kubectl, eventually
from rooms import (
    MODELS_CLAIM,
    OPERATOR_NAMESPACE,
    OperatorUnderTest,
    Room,
    claim,
    keep_evidence,
)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    existing = os.environ.get("DLAGENT_TEST_CLUSTER")
    cluster = Cluster(existing or f"test-{os.getpid()}")
    if existing:
        yield cluster
        return
    try:
        cluster.up(operator=True)
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def kubectl_binary() -> str:
    beside_python = Path(sys.executable).with_name("kubectl")
    return str(beside_python) if beside_python.exists() else shutil.which("kubectl") or "kubectl"


@pytest.fixture(scope="session")
def operator_kubectl(kubeconfig: Path, kubectl_binary: str) -> Kubectl:
    """kubectl in the operator's namespace."""
    return Kubectl(kubectl_binary, kubeconfig, OPERATOR_NAMESPACE)


@pytest.fixture
def room(
    request: pytest.FixtureRequest, cluster: Cluster, kubeconfig: Path, kubectl_binary: str
) -> Iterator[Room]:
    namespace = "t-" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50].strip(
        "-"
    )
    kubectl = Kubectl(kubectl_binary, kubeconfig, namespace)
    kubectl("create", "namespace", namespace)
    kubectl.apply(claim(MODELS_CLAIM))
    eventually(
        lambda: kubectl.json("get", "pvc", MODELS_CLAIM)["status"]["phase"],
        lambda phase: phase == "Bound",
        what="the models volume is bound",
    )
    yield Room(kubectl, cluster.volume_path(namespace, MODELS_CLAIM), cluster)
    if request.node.stash.get(FAILED, False):
        keep_evidence(kubectl, request.node.name)
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def operator(operator_kubectl: Kubectl) -> OperatorUnderTest:
    return OperatorUnderTest(operator_kubectl)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome = yield
    if outcome.get_result().failed:  # type: ignore[attr-defined]  # pluggy's result is untyped
        item.stash[FAILED] = True
