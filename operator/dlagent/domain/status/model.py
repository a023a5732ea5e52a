"""The status of a DLAgent as the operator reads and writes it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AliasChoices, Field, ValidationError

from dlagent.api.types import ApiModel


class Reason(StrEnum):
    """Reasons of conditions beside those of the builder (artifact.summary.FailureReason)."""

    SERVING = "Serving"
    SERVING_PREVIOUS = "ServingPrevious"
    NO_REPLICAS = "NoReplicas"
    REPLICAS_NOT_READY = "ReplicasNotReady"
    ROLLING_OUT = "RollingOut"
    ROLLOUT_FAILED = "RolloutFailed"
    SELF_CHECK_FAILED = "SelfCheckFailed"
    BUILT = "Built"
    CACHED = "Cached"
    BUILDING = "Building"
    BUILD_FAILED = "BuildFailed"
    BUILD_TIMED_OUT = "BuildTimedOut"
    ARTIFACT_DAMAGED = "ArtifactDamaged"
    OUT_OF_MEMORY = "OutOfMemory"
    NO_SPACE = "NoSpace"
    EVICTED = "Evicted"
    UNSCHEDULABLE = "Unschedulable"
    VOLUME_MISSING = "VolumeMissing"
    VOLUME_NOT_BOUND = "VolumeNotBound"
    IMAGE_NOT_FOUND = "ImageNotFound"
    CONTAINER_CONFIG = "ContainerConfigError"
    CONTAINER_FAILED = "ContainerFailed"
    PAUSED = "Paused"
    INVALID_SPEC = "InvalidSpec"
    SCHEME_NOT_ALLOWED = "SchemeNotAllowed"
    WRITE_REFUSED = "WriteRefused"
    UNKNOWN_RUNTIME = "UnknownRuntime"


class Condition(ApiModel):
    type: str
    status: str  # True | False | Unknown
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class SourceStatus(ApiModel):
    """Which content of the source was taken; it is not followed when the file changes in place."""

    uri: str
    resolved_sha256: str = Field(
        validation_alias=AliasChoices("resolvedSHA256", "resolved_sha256"),
        serialization_alias="resolvedSHA256",
    )


class ArtifactStatus(ApiModel):
    key: str
    engine: str = ""
    precision: str = ""
    size_bytes: int = 0


class ServingStatus(ApiModel):
    revision: str | None = None
    rejected_revision: str | None = None
    url: str | None = None


class AgentStatus(ApiModel):
    observed_generation: int = 0
    conditions: list[Condition] = Field(default_factory=list)
    source: SourceStatus | None = None
    artifact: ArtifactStatus | None = None
    serving: ServingStatus | None = None
    replicas: int = 0
    ready_replicas: int = 0
    selector: str = ""

    def condition(self, type_: str) -> Condition | None:
        return next((item for item in self.conditions if item.type == type_), None)

    @property
    def serving_revision(self) -> str | None:
        return self.serving.revision if self.serving else None

    @property
    def rejected_revision(self) -> str | None:
        return self.serving.rejected_revision if self.serving else None

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def parse_status(value: object) -> AgentStatus:
    """The status as it was written; an empty one where somebody wrote nonsense there."""
    try:
        return AgentStatus.model_validate(value or {})
    except ValidationError:
        return AgentStatus()


def timestamp(moment: datetime) -> str:
    """As Kubernetes writes times: whole seconds, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
