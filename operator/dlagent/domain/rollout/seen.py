"""What was seen of one agent and its children: the input of every decision.

Made by dlagent.reconcile.gather from the cache; small frozen values, so that a test can write down
any situation in a few lines.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dlagent.api.status import DLAgentStatus
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import Outcome, Summary, parse_summary
from dlagent.domain.build import containers
from dlagent.domain.scaling.view import ScalingView


@dataclass(frozen=True)
class Container:
    """A container of a pod. The exit is that of its last end, even if it runs again since."""

    name: str
    image: str = ""
    running: bool = False
    waiting_reason: str | None = None
    waiting_message: str | None = None
    exit_code: int | None = None
    exit_reason: str | None = None
    exit_message: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Pod:
    name: str
    ip: str | None = None
    ready: bool = False
    deleting: bool = False
    created: datetime | None = None
    ready_since: datetime | None = None
    unready_since: datetime | None = None
    revision: str = ""
    ended: bool = False  # it failed or finished as a whole, and is not started again
    failure: str | None = None  # reason of a failed pod as a whole, such as Evicted
    failure_message: str | None = None
    unschedulable: str | None = None  # the scheduler's message
    containers: tuple[Container, ...] = ()

    def container(self, name: str) -> Container | None:
        return next((item for item in self.containers if item.name == name), None)


@dataclass(frozen=True)
class Job:
    """A build Job. `awaited`: another agent has yet to take over this build's result."""

    name: str
    uid: str
    build_id: str
    owners: frozenset[str] = frozenset()
    options: str | None = None
    deleting: bool = False
    succeeded: bool = False
    failure: str | None = None  # reason of its Failed condition
    failure_message: str | None = None
    finished_at: datetime | None = None
    progress: str | None = None  # message of the stage that the build is in
    pods: tuple[Pod, ...] = ()
    awaited: bool = False

    @property
    def result(self) -> Summary | None:
        """What the newest pod told that said something; `pods` are in the order of their age."""
        told = map(told_by, reversed(self.pods))
        return next((summary for summary in told if summary is not None), None)

    @property
    def begun(self) -> tuple[Container, ...]:
        """What of the newest pod runs or has ended well, the latest first; () once one failed."""
        found = [pod.container(name) for pod in self.pods[-1:] for name in containers.IN_ORDER]
        known = [item for item in reversed(found) if item is not None]
        if any(item.exit_code for item in known):
            return ()
        return tuple(item for item in known if item.running or item.exit_code == 0)


def told_by(pod: Pod) -> Summary | None:
    """What the pod of a build told: its first container that said something."""
    told = (_told(pod, name) for name in containers.IN_ORDER)
    return next((summary for summary in told if summary is not None), None)


def _told(pod: Pod, name: str) -> Summary | None:
    """What a container of a build told. Of an artifact none is believed but the last one.

    The others may say no more than why there is none: a model that has taken over the process that
    reads it could say anything, of other artifacts too.
    """
    container = pod.container(name)
    if container is None or container.exit_code is None:
        return None
    summary = parse_summary(container.exit_message or "")
    if summary is None or name == containers.PUBLISH:
        return summary
    failed = summary.outcome is Outcome.FAILED and container.exit_code != 0
    return summary if failed else None


@dataclass(frozen=True)
class Record:
    """That an artifact is in the store."""

    name: str
    uid: str
    created: datetime
    summary: Summary


@dataclass(frozen=True)
class Deployment:
    """`replicas` as its spec has them; `scaled` once our scaler has set them."""

    name: str
    uid: str
    revision: str
    artifact: str  # the first characters of its key
    replicas: int
    created: datetime
    scaled: bool = True
    deleting: bool = False
    pods: tuple[Pod, ...] = ()

    @property
    def ready_pods(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.pods if pod.ready and not pod.deleting)


@dataclass(frozen=True)
class Check:
    """A self-check's outcome: `failure` says what differs, None that it passed."""

    pod: str
    failure: str | None = None
    unreachable: bool = False

    @property
    def passed(self) -> bool:
        return self.failure is None and not self.unreachable


@dataclass(frozen=True)
class Agent:
    """The DLAgent itself, and what the operator's settings say about it."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: DLAgentSpec
    request: BuildRequest  # as the spec asks for it: its digest only if the spec names one
    build_id: str
    build_options: str  # digest of what of spec.build and the limits a Job is made from
    restarted_at: str | None = None
    script_problem: str | None = None  # why the script of a Python step cannot be had


@dataclass(frozen=True)
class Seen:
    agent: Agent
    status: DLAgentStatus
    jobs: tuple[Job, ...] = ()  # the current build's, and others that this agent owns
    records: tuple[Record, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    selected: str | None = None  # the revision that the Service's selector names
    checks: tuple[Check, ...] = field(default=())  # of the pods of the revision to come
    scaling: ScalingView | None = None  # what the scaler says; None before its first tick

    def record(self, key: str) -> Record | None:
        return next((item for item in self.records if item.summary.key == key), None)

    def job(self) -> Job | None:
        """The Job of the build that the spec asks for."""
        wanted = self.agent.build_id
        return next((job for job in self.jobs if job.build_id == wanted), None)

    def deployment(self, revision: str | None) -> Deployment | None:
        return next((item for item in self.deployments if item.revision == revision), None)
