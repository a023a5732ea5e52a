"""What became of an agent's size, write by write, and the properties that must always hold.

P1 to P6 are those of the project's design: after faults the agent reaches what it asks for and
stays (P1), steady state writes nothing (P2), no orphans (P3), nothing half-written in the store
(P4), never fewer replicas while metrics are lost (P5), every write within the bounds (P6).
"""

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from harness import Agent, eventually
from rooms import Room

_COLUMNS = "NAME:.metadata.name,REPLICAS:.spec.replicas"
_TICKS_SECONDS = 12.0  # more than two of the local operator's ticks
_CHILDREN = (
    "dlagents,deployments,services,poddisruptionbudgets,networkpolicies,serviceaccounts,configmaps"
)


@dataclass(frozen=True)
class Size:
    """A Deployment of the agent as one write left it; `at` is Unix seconds."""

    at: float
    deployment: str
    replicas: int


@dataclass
class Sizes:
    """All that a watch saw, in order."""

    seen: list[Size] = field(default_factory=list)

    def since(self, at: float) -> list[Size]:
        """What was written from then on."""
        return [size for size in list(self.seen) if size.at >= at]

    def lowered(self, first: float, last: float) -> list[tuple[Size, Size]]:
        """Where the replicas of a Deployment fell between two times, as before and after."""
        found = []
        for name in {size.deployment for size in self.seen}:
            its = [size for size in list(self.seen) if size.deployment == name]
            found += [
                (before, after)
                for before, after in pairwise(its)
                if after.replicas < before.replicas and first <= after.at <= last
            ]
        return found


@contextmanager
def watched_sizes(agent: Agent) -> Iterator[Sizes]:
    """Watch the agent's Deployments while the block runs, by the apiserver's own stream."""
    kubectl, sizes = agent.kubectl, Sizes()
    command = [kubectl.binary, "-n", kubectl.namespace, "get", "deployments", "--watch"]
    command += ["-l", f"dlagent.io/name={agent.name}", "--no-headers", "-o"]
    command += [f"custom-columns={_COLUMNS}"]
    environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def read() -> None:
        for line in watch.stdout or ():
            name, replicas = line.split()
            sizes.seen.append(Size(time.time(), name, int(replicas)))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield sizes
    finally:
        watch.terminate()
        watch.wait()
        reader.join()


def check_properties(room: Room, agents: list[Agent], sizes: list[Sizes]) -> None:
    """P1, P2, P3, P4 and P6, for agents that should have settled. P5 is the tests' own to time."""
    for agent, its in zip(agents, sizes, strict=True):
        _within_bounds(agent, its)
        _settled(agent)
    _no_orphans(room, agents)
    _store_is_whole(room)
    _writes_nothing(room)


def _within_bounds(agent: Agent, sizes: Sizes) -> None:
    """P6. In mode Manual the number is the user's."""
    scaling = agent.get()["spec"].get("scaling", {})
    if scaling.get("mode") == "Manual":
        return
    low, high = scaling["minReplicas"], scaling["maxReplicas"]
    assert sizes.seen, "the watch saw no Deployment"
    outside = [size for size in sizes.seen if not low <= size.replicas <= high]
    assert [] == outside, f"written outside {low}..{high}"


def _settled(agent: Agent) -> None:
    """P1: ready, at the size that it says it should have, with as many pods."""
    agent.wait_ready()
    status = agent.get()["status"]
    (deployment,) = eventually(
        lambda: agent.kubectl.items("deployments", "-l", f"dlagent.io/name={agent.name}"),
        lambda found: len(found) == 1,
        what=f"{agent.name}: one Deployment",
    )
    assert status["replicas"] == deployment["spec"]["replicas"]
    eventually(
        lambda: len(agent.serving_pods()),
        lambda count: count == status["replicas"],
        what=f"{agent.name}: as many pods as replicas",
    )


def _no_orphans(room: Room, agents: list[Agent]) -> None:
    """P3: everything that carries an agent's name is owned by one that is there."""
    uids = {agent.get()["metadata"]["uid"] for agent in agents}
    for item in room.kubectl.items(_CHILDREN, "-l", "dlagent.io/name"):
        owners = {owner["uid"] for owner in item["metadata"].get("ownerReferences", [])}
        assert owners & uids, f"{item['kind']}/{item['metadata']['name']} is nobody's"


def _store_is_whole(room: Room) -> None:
    """P4: each artifact has its manifest, and each file of it is the one that was published."""
    store = room.cluster.volume_path(room.kubectl.namespace, "dlagent-artifacts")
    artifacts = list(store.glob("artifacts/*"))
    assert artifacts, "the store has no artifact"
    for artifact in artifacts:
        manifest = json.loads((artifact / "manifest.json").read_text())
        for path, published in manifest["files"].items():
            content = (artifact / path).read_bytes()
            assert published["sha256"] == hashlib.sha256(content).hexdigest()


def _writes_nothing(room: Room) -> None:
    """P2: over more than two ticks of the scaler no object gets another version."""

    def versions() -> dict[str, str]:
        return {
            f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for item in room.kubectl.items(_CHILDREN)
        }

    def quiet() -> bool:
        before = versions()
        time.sleep(_TICKS_SECONDS)
        return before == versions()

    eventually(quiet, what="nothing is written in steady state")
