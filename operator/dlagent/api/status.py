"""The status of a DLAgent: what the operator writes and everybody else reads."""

from typing import Annotated

from pydantic import AliasChoices, Field

from dlagent.api.base import ApiModel, map_by
from dlagent.api.conditions import ConditionStatus

Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(max_length=63)]
Sentence = Annotated[str, Field(max_length=128)]
Figure = Annotated[str, Field(max_length=32)]  # a decimal: Kubernetes forbids floats
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Large = Annotated[int, Field(ge=0, le=2**53)]
Time = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]


class Condition(ApiModel):
    """One aspect of the agent's state, as in all of Kubernetes."""

    type: Annotated[str, Field(max_length=316)]
    """What it is about."""
    status: ConditionStatus
    """Whether it holds."""
    reason: Text
    """Why, as one word for programs."""
    message: Annotated[str, Field(max_length=32_768)]
    """Why, and what to do about it, for people."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: Large | None = None
    """The metadata.generation that it is about."""


class SourceStatus(ApiModel):
    """Which content of the source was taken; it is not followed when the file changes in place."""

    uri: Text
    """The URI that was read."""
    resolved_sha256: Annotated[
        str,
        Field(
            max_length=64,
            validation_alias=AliasChoices("resolvedSHA256", "resolved_sha256"),
            serialization_alias="resolvedSHA256",
        ),
    ]
    """SHA-256 of what was read."""


class ArtifactStatus(ApiModel):
    """The artifact of the current generation."""

    key: Annotated[str, Field(max_length=64)]
    """Its name in the store: SHA-256 of all that decides its content."""
    engine: Text | None = None
    """What runs it, such as ONNXRuntime."""
    precision: Text | None = None
    """The type that it computes in, such as FP32."""
    accelerator: Text | None = None
    """The hardware that it was built for. What begins with "simulated" is none: the local cluster
    only waits as long as such hardware would take."""
    size_bytes: Large | None = None
    """Size of its files in bytes."""
    metric: Name | None = None
    """What its accuracy is measured by. Absent: it was built without a data set."""
    baseline: Figure | None = None
    """The metric of the source, such as "0.9022"."""
    value: Figure | None = None
    """The metric of the artifact on the same examples, which the choice did not see."""
    speedup: Figure | None = None
    """How many times faster it is than the source at the batch of status.candidates."""


class CandidateStatus(ApiModel):
    """One version of the source that the build thought of."""

    name: Name
    """Its name in the report; that of the source itself is fp32."""
    precision: Name | None = None
    """The type that it computes in, such as INT8."""
    verdict: Name
    """What became of it, such as Chosen, Slower, GateFailed, NotApplicable."""
    batch: Count | None = None
    """For how many requests in one batch `milliseconds` is."""
    milliseconds: Figure | None = None
    """How long that batch takes: on one thread, or on the accelerator."""
    value: Figure | None = None
    """Its metric on the examples that served to choose."""
    drop: Figure | None = None
    """What it loses against the source, as a share; an error for MaxAbsError."""
    reason: Sentence | None = None
    """Why, as a sentence; the report has all of it."""


class ServingStatus(ApiModel):
    """What serves."""

    revision: Text | None = None
    """The revision that requests go to."""
    rejected_revision: Text | None = None
    """A revision that did not come up; it is not tried again."""
    url: Text | None = None
    """Where requests go to, in the cluster (the KServe v2 protocol over HTTP)."""


class SloStatus(ApiModel):
    """The promise."""

    promise: Text | None = None
    """The objective as people say it, such as "99% < 50ms"."""
    verdict: Text | None = None
    """Whether it is kept over the window: the reason of the condition SLOMet."""
    error_budget_left_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """How much of the misses that the window allows is left, in steps of ten."""
    observed_hours: Count | None = None
    """For how many hours of the window there are measurements, in coarse steps."""
    latency_signal: Text | None = None
    """How it is known which answers were in time: Histogram, a count, or Summary, an estimate."""


class ScalingStatus(ApiModel):
    """The last decision about the number of replicas that changed it."""

    mode: Text | None = None
    """In which mode it was decided: in mode Advise it is advice only."""
    desired: Count | None = None
    """How many replicas there should be."""
    capacity_per_replica: Count | None = None
    """Requests a second that one replica answers within the promise, rounded down."""
    reason: Text | None = None
    """Why, as one word."""
    message: Text | None = None
    """Why, with the figures of that moment."""
    last_scale_time: Time | None = None
    """When `desired` changed last."""


class DLAgentStatus(ApiModel):
    """What the operator saw and did last."""

    observed_generation: Large | None = None
    """The metadata.generation that this status is about."""
    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=map_by("type"))
    ] = []
    """The agent's state; see the reference for types and reasons."""
    source: SourceStatus | None = None
    """Which content of the source was taken."""
    artifact: ArtifactStatus | None = None
    """The artifact of the current generation."""
    candidates: Annotated[list[CandidateStatus], Field(max_length=8)] = []
    """The most telling of the versions that the build tried; `kubectl dlagent report` has all."""
    serving: ServingStatus | None = None
    """What serves."""
    slo: SloStatus | None = None
    """The promise that is served under, and whether it is kept."""
    scaling: ScalingStatus | None = None
    """The last decision about the number of replicas that changed it."""
    replicas: Count | None = None
    """How many Triton pods there are to be."""
    ready_replicas: Count | None = None
    """How many of them are ready."""
    selector: Text | None = None
    """Labels of the Triton pods, for `kubectl scale` and autoscalers."""
