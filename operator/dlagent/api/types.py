"""The DLAgent resource, as its users write it.

The only definition of the resource: the CRD schema and docs/reference are generated from these
types (`make generate`), and the operator parses with them. Unknown fields are ignored, so that an
operator that is older than the CRD cannot be crashed by a resource that is newer.

Python names are snake_case, JSON names lowerCamelCase (by alias).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dlagent.api.base import Annotations, DnsLabel, ImageName, Labels, QualifiedName, Rule, checked
from dlagent.api.base import ApiModel as ApiModel
from dlagent.api.base import Decimal as Decimal
from dlagent.api.pods import Affinity, Environment, TopologySpread
from dlagent.api.pods import PodPlacement as PodPlacement
from dlagent.api.pods import Resources as Resources
from dlagent.api.steps import ActStep as ActStep
from dlagent.api.steps import ArgMax as ArgMax
from dlagent.api.steps import Cast as Cast
from dlagent.api.steps import Normalize as Normalize
from dlagent.api.steps import PerceiveStep as PerceiveStep
from dlagent.api.steps import Reshape as Reshape
from dlagent.api.steps import Scale as Scale
from dlagent.api.steps import Softmax as Softmax
from dlagent.api.steps import TopK as TopK
from dlagent.api.steps import Transpose as Transpose
from dlagent.api.tensors import DataType as DataType
from dlagent.api.tensors import Tensor as Tensor
from dlagent.api.tensors import Tensors

GROUP = "dlagent.io"
VERSION = "v1alpha1"
KIND = "DLAgent"
PLURAL = "dlagents"
MAX_NAME_LENGTH = 40  # names of Services, Deployments and labels are made from it

_PICKLES = "pt|pth|bin|pkl|pickle|ckpt"
_MANUAL = "has(self.scaling) && self.scaling.mode == 'Manual'"
_DEFAULT_MAX_REPLICAS = 10


class ModelFormat(StrEnum):
    ONNX = "ONNX"
    EXPORTED_PROGRAM = "ExportedProgram"


class Source(ApiModel):
    """Where the model lies."""

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1024,
            json_schema_extra=checked(
                Rule(
                    "self.startsWith('pvc://')",
                    "only pvc:// is supported; put the file on a PersistentVolumeClaim of the"
                    " agent's namespace and write pvc://CLAIM/PATH",
                ),
                Rule(
                    "!self.startsWith('pvc://') ||"
                    " self.matches('^pvc://[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[^/](.*[^/])?$')",
                    "must be pvc://CLAIM/PATH, such as pvc://models/shoes.onnx",
                ),
                Rule(
                    r"!self.matches('(^|[/\\\\])\\.\\.?([/\\\\]|$)')",
                    "must not contain . or .. as a folder; write the path from the claim's root",
                ),
                Rule(
                    r"!self.matches('[\\x00-\\x1f\\x7f]')",
                    "must not contain control characters; rename the file",
                ),
                Rule(
                    rf"!self.lowerAscii().matches('\\.({_PICKLES})$')",
                    "is a pickle, which can run any code when it is read. Convert it where you"
                    " trust it: torch.export.save(torch.export.export(model.eval(),"
                    " (example_input,)), 'model.pt2'), and name model.pt2 here",
                ),
            ),
        ),
    ]
    """The model file: pvc://CLAIM/PATH, on a PersistentVolumeClaim of the agent's namespace."""
    sha256: Annotated[
        str | None,
        Field(
            json_schema_extra=checked(
                Rule(
                    "self.matches('^[0-9a-f]{64}$')",
                    "must be 64 lower-case hexadecimal digits; take what `sha256sum FILE` prints",
                )
            ),
            max_length=64,
        ),
    ] = None
    """SHA-256 of the file. A file that differs is refused. Where it is given, and an artifact for
    it exists, nothing is built. Absent: the file as it is found by the first build."""


class Model(ApiModel):
    """The trained network."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "has(self.format) || self.source.uri.lowerAscii()"
                rf".matches('\\.(onnx|pt2|{_PICKLES})$')",
                "must be set, since the suffix of source.uri is neither .onnx nor .pt2; set format"
                " to ONNX or ExportedProgram",
                ".format",
            )
        )
    }

    source: Source
    """Where the model lies."""
    format: ModelFormat | None = None
    """How the file is read. Absent: by its suffix, .onnx or .pt2."""
    inputs: Tensors | None = None
    """What a request carries, before perceive. Absent: the model's own inputs."""
    outputs: Tensors | None = None
    """The model's own outputs, before act. Absent: as the model declares them."""


class Build(PodPlacement):
    """How the artifact is built."""

    image: ImageName | None = None
    """Image of the build. Absent: the operator's setting builder.image."""
    timeout_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """After so long a build is given up."""


class Accelerator(ApiModel):
    """Accelerators that each replica gets."""

    resource: QualifiedName
    """Name of the extended resource, such as nvidia.com/gpu."""
    count: Annotated[int, Field(ge=1, le=16)] = 1
    """How many of them each replica gets."""


class Serving(PodPlacement):
    """How the artifact is served: fields of the Triton pods."""

    runtime: DnsLabel = "triton"
    """Which of the runtimes in the operator's settings runs the model."""
    max_batch_size: Annotated[int, Field(ge=1, le=16_384)] | None = None
    """Most requests in one batch. Absent: by what was measured, so that a replica answers the most
    requests within the promise."""
    batch_delay_microseconds: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    """How long a request may wait for others to share its batch. Absent: 0."""
    instances_per_replica: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many batches a replica works on at a time. Absent: by what was measured, as far as the
    CPU in resources allows (1 where it is not given)."""
    response_cache: bool = False
    """Answer a request that equals an earlier one from memory (64 MiB). Only for networks whose
    answer depends on nothing but the request. Triton then tells no quantiles of the latency, so
    SLOMet is Unknown."""
    accelerator: Accelerator | None = None
    """Accelerators that each replica gets. Absent: none."""
    affinity: Affinity | None = None
    """Where the pods prefer or need to be, by nodes and by other pods."""
    topology_spread_constraints: TopologySpread | None = None
    """How evenly the pods are spread over nodes or zones."""
    pod_labels: Labels | None = None
    """Labels added to the pods; those of the operator stay."""
    pod_annotations: Annotations | None = None
    """Annotations added to the pods."""
    env: Environment | None = None
    """Environment of the Triton container, after that of the runtime."""


class Latency(ApiModel):
    """How fast how many of the requests must be answered."""

    threshold_milliseconds: Annotated[int, Field(ge=1, le=600_000)]
    """A request is good when it is answered within this time."""
    objective_percent: Annotated[
        Decimal,
        Field(
            json_schema_extra=checked(
                Rule(
                    "double(string(self)) > 0.0 && double(string(self)) < 100.0",
                    'must be above 0 and below 100, such as "99.9"; no service keeps 100',
                )
            )
        ),
    ] = "99"
    """The share of requests that must be good."""


class Slo(ApiModel):
    """The promise that the agent keeps."""

    latency: Latency
    """How fast how many of the requests must be answered."""
    window_days: Annotated[int, Field(ge=1, le=90)] = 7
    """Over how many days the promise is judged."""


class ScalingMode(StrEnum):
    AUTO = "Auto"
    MANUAL = "Manual"
    ADVISE = "Advise"


class Scaling(ApiModel):
    """Who decides the number of replicas."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "self.minReplicas <= self.maxReplicas",
                "must not be below minReplicas; raise maxReplicas (its default is"
                f" {_DEFAULT_MAX_REPLICAS}) or lower minReplicas",
                ".maxReplicas",
            )
        )
    }

    mode: ScalingMode = ScalingMode.AUTO
    """Auto: the operator, by the load and the promise. Advise: it says in the status what it would
    do, and keeps the replicas that are there. Manual: the field replicas, which `kubectl scale`
    and a HorizontalPodAutoscaler write."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Never fewer than these, in mode Auto."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = _DEFAULT_MAX_REPLICAS
    """Never more than these, in mode Auto."""


class RolloutStrategy(StrEnum):
    ROLLING = "Rolling"


class Rollout(ApiModel):
    """How a new revision takes over from the one that serves."""

    strategy: RolloutStrategy = RolloutStrategy.ROLLING
    """Rolling: the new revision is up and checked before requests go to it."""
    deadline_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600
    """A revision that is not up after this time is given up; the last good one serves on."""


class DLAgentSpec(ApiModel):
    """What is to be served, and how fast."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                f"!has(self.replicas) || ({_MANUAL})",
                "only counts where the number is set by hand; set scaling.mode: Manual",
                ".replicas",
            ),
            Rule(
                f"has(self.replicas) || !({_MANUAL})",
                "must be set with scaling.mode: Manual; write how many, such as replicas: 1",
                ".replicas",
            ),
        )
    }

    model: Model
    """The trained network."""
    perceive: Annotated[list[PerceiveStep], Field(max_length=16)] = []
    """Steps from the raw request to the network's input, in order; made part of the artifact."""
    act: Annotated[list[ActStep], Field(max_length=8)] = []
    """Steps from the network's output to the answer, in order; made part of the artifact."""
    build: Build = Build()
    """How the artifact is built."""
    serving: Serving = Serving()
    """How the artifact is served."""
    slo: Slo
    """The promise that the agent keeps."""
    scaling: Scaling = Scaling()
    """Who decides the number of replicas. Absent: the operator (mode Auto)."""
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """How many Triton pods serve, with scaling.mode Manual only; `kubectl scale` writes it."""
    rollout: Rollout = Rollout()
    """How a new revision takes over."""
    paused: bool = False
    """While true only the status is written; what serves goes on serving."""
