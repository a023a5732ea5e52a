"""The DLAgent resource, as its users write it.

The only definition of the resource: the CRD schema and docs/reference are generated from these
types (`make generate`), and the operator parses with them. Unknown fields are ignored, so that an
operator that is older than the CRD cannot be crashed by a resource that is newer.

Python names are snake_case, JSON names lowerCamelCase (by alias).
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "dlagent.io"
VERSION = "v1alpha1"
KIND = "DLAgent"
PLURAL = "dlagents"


class ApiModel(BaseModel):
    """Base of all API types: frozen, camelCase in JSON, unknown fields ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class ModelFormat(StrEnum):
    ONNX = "ONNX"
    EXPORTED_PROGRAM = "ExportedProgram"


class DataType(StrEnum):
    """Tensor element types, in Triton's names."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"


class Tensor(ApiModel):
    """A named input or output, without its batch axis; -1 is a free axis."""

    name: str
    data_type: DataType
    shape: list[int]


class Source(ApiModel):
    uri: str
    sha256: str | None = None


class Model(ApiModel):
    source: Source
    format: ModelFormat | None = None
    inputs: list[Tensor] | None = None
    outputs: list[Tensor] | None = None


# A decimal in the API is a string (or a whole number): Kubernetes forbids floats.
Decimal = Annotated[str | int, Field()]


class Scale(ApiModel):
    multiply: Decimal


class Normalize(ApiModel):
    mean: list[Decimal]
    std: list[Decimal]


class Reshape(ApiModel):
    shape: list[int]


class Transpose(ApiModel):
    axes: list[int]


class Cast(ApiModel):
    data_type: DataType


class PerceiveStep(ApiModel):
    """One pre-processing step: exactly one field is set."""

    scale: Scale | None = None
    normalize: Normalize | None = None
    reshape: Reshape | None = None
    transpose: Transpose | None = None
    cast: Cast | None = None


class Softmax(ApiModel):
    """Over the last axis."""


class ArgMax(ApiModel):
    """Index of the largest value of the last axis."""


class TopK(ApiModel):
    k: int


class ActStep(ApiModel):
    """One post-processing step: exactly one field is set."""

    softmax: Softmax | None = None
    argmax: ArgMax | None = None
    top_k: TopK | None = None


class Resources(ApiModel):
    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class PodPlacement(ApiModel):
    """What build and serving pods have in common, in the words of the core API."""

    resources: Resources | None = None
    node_selector: dict[str, str] | None = None
    tolerations: list[dict[str, Any]] | None = None
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    image_pull_secrets: list[dict[str, Any]] | None = None


class Build(PodPlacement):
    image: str | None = None
    timeout_minutes: int = 60


class Accelerator(ApiModel):
    resource: str
    count: int = 1


class Serving(PodPlacement):
    runtime: str = "triton"
    max_batch_size: int | None = None
    batch_delay_microseconds: int | None = None
    instances_per_replica: int | None = None
    accelerator: Accelerator | None = None
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: list[dict[str, Any]] | None = None
    pod_labels: dict[str, str] | None = None
    pod_annotations: dict[str, str] | None = None
    env: list[dict[str, Any]] | None = None


class Latency(ApiModel):
    threshold_milliseconds: int
    objective_percent: Decimal = "99"


class Slo(ApiModel):
    latency: Latency


class ScalingMode(StrEnum):
    MANUAL = "Manual"


class Scaling(ApiModel):
    mode: ScalingMode


class RolloutStrategy(StrEnum):
    ROLLING = "Rolling"


class Rollout(ApiModel):
    strategy: RolloutStrategy = RolloutStrategy.ROLLING
    deadline_seconds: int = 600


class DLAgentSpec(ApiModel):
    model: Model
    perceive: list[PerceiveStep] = []
    act: list[ActStep] = []
    build: Build = Build()
    serving: Serving = Serving()
    slo: Slo
    scaling: Scaling | None = None
    replicas: int | None = None
    rollout: Rollout = Rollout()
    paused: bool = False
