"""The cluster under these tests: one real Kubernetes with the operator, for the whole session.

DLAGENT_TEST_CLUSTER names a local cluster that is up already (`dlagent local up --name ...`): it is
used and left as it is, which makes a quick loop while a test is being written.
"""

import fcntl
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from admission import namespace_of_its_own
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

RUN = "DLAGENT_TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    """All workers of a run (pytest-xdist) share a cluster named after the process that began it."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = f"test-{os.getpid()}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput") and "DLAGENT_TEST_CLUSTER" not in os.environ:
        Cluster(os.environ[RUN]).down()


@contextmanager
def held(lock: Path, kind: int) -> Iterator[None]:
    with lock.open("a") as file:
        fcntl.flock(file, kind)
        yield


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def cluster(run_folder: Path) -> Cluster:
    """The first worker to ask starts it; pytest_sessionfinish stops it."""
    existing = os.environ.get("DLAGENT_TEST_CLUSTER")
    if existing:
        return Cluster(existing)
    cluster, started = Cluster(os.environ[RUN]), run_folder / "cluster-started"
    with held(run_folder / "cluster.lock", fcntl.LOCK_EX):
        if not started.exists():
            cluster.up(operator=True)
            started.touch()
    return cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Disruptive tests last, so that they hold up no other."""
    items.sort(key=lambda item: item.get_closest_marker("disruptive") is not None)


@pytest.fixture(autouse=True)
def alone_if_disruptive(request: pytest.FixtureRequest, run_folder: Path) -> Iterator[None]:
    """Tests that break what all use (`disruptive`) run while no other worker runs a test."""
    disruptive = request.node.get_closest_marker("disruptive") is not None
    with held(run_folder / "tests.lock", fcntl.LOCK_EX if disruptive else fcntl.LOCK_SH):
        yield


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def kubectl_binary() -> str:
    beside_python = Path(sys.executable).with_name("kubectl")
    return str(beside_python) if beside_python.exists() else shutil.which("kubectl") or "kubectl"


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Iterator[Kubectl]:
    """kubectl in a namespace of the module's own, on an apiserver that knows the resource."""
    with namespace_of_its_own(kubeconfig) as kubectl:
        yield kubectl


@pytest.fixture(scope="session")
def operator_kubectl(kubeconfig: Path, kubectl_binary: str) -> Kubectl:
    """kubectl in the operator's namespace."""
    return Kubectl(kubectl_binary, kubeconfig, OPERATOR_NAMESPACE)


@pytest.fixture
def room(
    request: pytest.FixtureRequest, cluster: Cluster, kubeconfig: Path, kubectl_binary: str
) -> Iterator[Room]:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    namespace = f"{name}-{uuid.uuid4().hex[:6]}"
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
