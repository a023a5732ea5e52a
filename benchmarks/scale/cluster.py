"""A cluster for many agents: the real control plane, nodes and pods that kwok plays.

Used by `operator_scale`. Agents need no build: the record of model_repo's artifact is there before
them, and they name its source by its digest.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

import yaml

from benchmarks.bench import BenchmarkError, eventually, is_ready, say
from benchmarks.writes import WriteCount
from dlagent.api import names
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Target as BuildTarget
from dlagent.domain.artifact.request import artifact_key, build_request
from dlagent.domain.artifact.summary import Outcome, of_manifest
from dlagent.manifests import store
from dlagent.runtime.settings import ArtifactSettings, Settings
from dlagent_demo.kube import Json, Kube
from dlagent_local import recipes
from dlagent_local.addresses import Addresses
from dlagent_local.cache import ensure
from dlagent_local.cluster import Cluster
from dlagent_local.paths import REPOSITORY, ClusterPaths, cache_folder
from dlagent_local.plan import NODE

NAMESPACE = "scale"
ACCOUNT = "operator"
PODS_OF_A_NODE = 250
NODE_LABEL = {"type": "kwok"}
AGENTS = f"/apis/dlagent.io/v1alpha1/namespaces/{NAMESPACE}/dlagents"
# What each agent owns, and how many objects of a kind there are before the first agent.
CHILDREN = {
    f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments": (1, 0),
    f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies": (1, 0),
    f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets": (1, 0),
    f"/api/v1/namespaces/{NAMESPACE}/services": (1, 0),
    f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts": (1, 2),
}
_WRITERS = 8
_LOCAL_PROMETHEUS = "monitoring"


@dataclass(frozen=True)
class Places:
    """Addresses of the cluster's own block that no pod gets, for what runs beside it."""

    block: int

    @property
    def pods(self) -> str:
        """Of all fake pods."""
        return f"127.{self.block}.127.2"

    @property
    def operator(self) -> str:
        return f"127.{self.block}.127.3"

    @property
    def prometheus(self) -> str:
        return f"127.{self.block}.127.4"


class ScaleCluster:
    """A local cluster that is up, as `operator_scale` uses it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self.folder = folder
        self.kubectl = Kube(cluster.kubeconfig, NAMESPACE)
        self._api = cluster.kube()
        plan = json.loads(ClusterPaths.of(cluster.name).plan.read_text())
        self.places = Places(Addresses(int(plan["block"])).block)
        self.count = WriteCount(self.kubectl, NAMESPACE, ACCOUNT)

    @cached_property
    def manifest(self) -> Manifest:
        """The artifact that all agents serve."""
        content = (REPOSITORY / "model_repo/manifest.json").read_bytes()
        return Manifest.model_validate_json(content)

    def prepare(self, agents: int) -> None:
        """All that is there before the operator and the agents: nodes, account, artifact."""
        self._remove_what_costs()
        self._api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.kubectl("apply", "--server-side", "-f", str(REPOSITORY / "crds"))
        for obj in (*self._account(), *self._claim(), self._record()):
            self.kubectl.apply(obj)
        for number in range(-(-agents // PODS_OF_A_NODE) + 1):
            self._api.apply(_node(number))
        self.count.begin()

    def _remove_what_costs(self) -> None:
        """Prometheus would scrape each fake pod, and Envoy would serve each Service."""
        self.kubectl("delete", "deployment", "prometheus", "-n", _LOCAL_PROMETHEUS)
        gone = ("wait", "pods", "--all", "--for=delete", "--timeout=60s", "-n", _LOCAL_PROMETHEUS)
        self.kubectl(*gone)
        for component in ("addons", "envoy", "kubelet", "process-runtime"):
            self._cluster.stop(component)
        self.kubectl("delete", "node", NODE)

    def _account(self) -> list[Json]:
        account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
        return [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "bench-operator"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
                "subjects": [account],
            },
        ]

    def _claim(self) -> list[Json]:
        """The namespace's store with a volume that any node has."""
        claim = store.claim(NAMESPACE, ArtifactSettings(storage_class_name="", size="1Gi"))
        claim["spec"]["volumeName"] = NAMESPACE
        volume: Json = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": NAMESPACE},
            "spec": {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": "/nowhere"},
                "storageClassName": "",
                "claimRef": {"namespace": NAMESPACE, "name": names.STORE_NAME},
            },
        }
        return [volume, claim]

    def _record(self) -> Json:
        digest = self.manifest.key_inputs["sourceSha256"]
        summary = of_manifest(self.manifest, Outcome.PUBLISHED, "It was there before.", digest)
        return store.record(NAMESPACE, self.manifest.key, summary)

    def operator_kubeconfig(self) -> Path:
        """For the account whose writes are counted; the administrator's are not told apart."""
        config = yaml.safe_load(self._cluster.kubeconfig.read_text())
        token = self.kubectl("create", "token", ACCOUNT, "--duration=12h").strip()
        config["users"][0]["user"] = {"token": token}
        file = self.folder / "operator.kubeconfig"
        file.write_text(json.dumps(config))
        return file

    def apply_agents(self, agents: int) -> float:
        """Server-side apply, several at a time; the seconds that it took."""
        began = time.monotonic()
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(self._api.apply, [agent(number) for number in range(agents)]))
        return time.monotonic() - began

    def scale_by_hand(self, agents: int) -> None:
        """Switch the scaling of all agents off: mode Manual."""
        patch = {"spec": {"scaling": {"mode": "Manual"}, "replicas": 1}}
        with ThreadPoolExecutor(_WRITERS) as pool:
            paths = [f"{AGENTS}/{agent(number)['metadata']['name']}" for number in range(agents)]
            list(pool.map(lambda path: self._api.merge(path, patch), paths))

    def agents(self) -> list[Json]:
        """All agents as the apiserver's cache has them."""
        items: list[Json] = self._api.get(f"{AGENTS}?resourceVersion=0")["items"]
        return items

    def pods(self) -> list[tuple[str, str]]:
        """Name and agent of each pod that is Ready."""
        items = self._api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?resourceVersion=0")["items"]
        return [
            (pod["metadata"]["name"], pod["metadata"]["labels"][names.NAME_LABEL])
            for pod in items
            if pod["status"].get("podIP")
        ]

    def children_complete(self, agents: int) -> bool:
        """Whether each agent's children are there, by the number of objects of their kinds."""
        return all(
            self._number(path) >= each * agents + before
            for path, (each, before) in CHILDREN.items()
        )

    def _number(self, path: str) -> int:
        answer = self._api.get(f"{path}?limit=1")
        return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount", 0))


def wait_observed(here: ScaleCluster, agents: int, within_seconds: float) -> None:
    """Until each agent's status is about its present spec, and its children are there."""

    def observed() -> bool:
        time.sleep(0.2)
        return all(map(_is_observed, here.agents())) and here.children_complete(agents)

    eventually("every agent to be observed", observed, within_seconds)


def wait_ready(here: ScaleCluster, within_seconds: float) -> None:
    """Until all agents are Ready; says how far it is."""
    told = -1

    def all_ready() -> bool:
        nonlocal told
        time.sleep(1)
        found = here.agents()
        ready = sum(map(is_ready, found))
        if ready != told:
            say(f"{ready} of {len(found)} Ready")
            told = ready
        return ready == len(found)

    eventually("all agents to be Ready", all_ready, within_seconds)


def _is_observed(found: Json) -> bool:
    seen: object = found.get("status", {}).get("observedGeneration")
    return bool(seen == found["metadata"]["generation"])


def agent(number: int) -> Json:
    """model_repo's agent, whose artifact is there; its pods go to kwok's nodes."""
    folder = REPOSITORY / "model_repo"
    found: Json = yaml.safe_load((folder / "agent.yaml").read_text())
    digest = json.loads((folder / "manifest.json").read_text())["keyInputs"]["sourceSha256"]
    found["metadata"] = {"name": f"agent-{number:04}", "namespace": NAMESPACE}
    found["spec"]["model"]["source"]["sha256"] = digest
    found["spec"]["serving"] = {"nodeSelector": NODE_LABEL}
    return found


def check_key(manifest: Manifest, settings: Settings) -> None:
    """Raises BenchmarkError where the agents would not be served from model_repo's artifact."""
    spec = DLAgentSpec.model_validate(agent(0)["spec"])
    digest = manifest.key_inputs["sourceSha256"]
    target = BuildTarget.model_validate(settings.runtimes["triton"].target.model_dump())
    limit = settings.builder.max_source_bytes
    if artifact_key(build_request(spec, digest, target, limit), digest) != manifest.key:
        raise BenchmarkError("the agents ask for another artifact than model_repo's")


@contextmanager
def scale_cluster(agents: int) -> Iterator[ScaleCluster]:
    """A cluster of its own with room for so many agents; it goes with all that is in it."""
    cluster = Cluster(f"scale-{os.getpid()}")
    recipe = recipes.kwok()
    say(f"kwok, which is built the first time: {recipe.estimate}")
    kwok = ensure(recipe, cache_folder(), lambda _message, _done: None)
    with tempfile.TemporaryDirectory(prefix="operator-scale-") as folder:
        try:
            say("starting a local cluster")
            cluster.up(operator=False)
            here = ScaleCluster(cluster, Path(folder))
            here.prepare(agents)
            with _playing(kwok / "kwok", cluster.kubeconfig, here):
                yield here
        finally:
            cluster.down()


@contextmanager
def _playing(binary: Path, kubeconfig: Path, here: ScaleCluster) -> Iterator[None]:
    stages = Template(Path(__file__).with_name("stages.yaml").read_text())
    file = here.folder / "stages.yaml"
    file.write_text(stages.substitute(POD_ADDRESS=here.places.pods))
    command = [str(binary), f"--config={file}", f"--kubeconfig={kubeconfig}"]
    selector = ",".join(f"{name}={value}" for name, value in NODE_LABEL.items())
    command += [f"--manage-nodes-with-label-selector={selector}", "--manage-all-nodes=false"]
    command += ["--node-lease-duration-seconds=40"]
    with (here.folder / "kwok.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _node(number: int) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"kwok-{number}", "labels": dict(NODE_LABEL)},
    }
