"""What a visit is to do: typed actions, each with its reason, the new status, and events.

Made by `decide`, carried out by dlagent.reconcile.apply in the order given. Every action may be
done again without harm, since a crash may come between any two writes.
"""

from dataclasses import dataclass, field

from dlagent.api.status import DLAgentStatus
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import Summary
from dlagent.domain.build.artifact import Artifact


@dataclass(frozen=True)
class StartBuild:
    """Make the namespace's store, where it is not there, and the build Job."""

    build_id: str
    request: BuildRequest
    why: str


@dataclass(frozen=True)
class WriteRecord:
    key: str
    summary: Summary
    why: str


@dataclass(frozen=True)
class EnsureNetwork:
    """Account, policy, disruption budget and headless Service are there as they should be."""

    why: str = "every agent that serves has them"


@dataclass(frozen=True)
class EnsureRevision:
    """The Deployment of a revision is there as it should be; a new one starts with `replicas`."""

    revision: str
    artifact: Artifact
    replicas: int
    why: str


@dataclass(frozen=True)
class Scale:
    deployment: str
    uid: str
    replicas: int
    why: str


@dataclass(frozen=True)
class PointService:
    """The agent's Service sends requests to this revision."""

    revision: str
    why: str


@dataclass(frozen=True)
class Delete:
    """Remove a Job, a Deployment or a record (ConfigMap); always the last writes of a visit."""

    kind: str
    name: str
    uid: str
    why: str


Action = StartBuild | WriteRecord | EnsureNetwork | EnsureRevision | Scale | PointService


@dataclass(frozen=True)
class Event:
    type: str  # Normal | Warning
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """`actions` come before the status is written, `deletions` after it.

    An `Ensure...` or `PointService` whose object is already as wanted writes nothing: in the
    steady state a plan holds no others, and the status equals the one that is there.
    """

    status: DLAgentStatus
    actions: tuple[Action, ...] = ()
    deletions: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = field(default=())
    requeue_after: float | None = None  # seconds
