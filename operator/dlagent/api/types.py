"""The DLAgent resource, as its users write it.

The only definition of the resource: the CRD schema and docs/reference are generated from these
types (`make generate`), and the operator parses with them. Unknown fields are ignored, so that an
operator that is older than the CRD cannot be crashed by a resource that is newer.

Python names are snake_case, JSON names lowerCamelCase (by alias).
"""

import decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from dlagent.api.base import Annotations, DnsLabel, ImageName, Labels, QualifiedName, Rule, checked
from dlagent.api.base import ApiModel as ApiModel
from dlagent.api.base import Decimal as Decimal
from dlagent.api.optimise import DEFAULT_EPOCHS as DEFAULT_EPOCHS
from dlagent.api.optimise import DEFAULT_MAX_DROP_PERCENT as DEFAULT_MAX_DROP_PERCENT
from dlagent.api.optimise import EngineChoice as EngineChoice
from dlagent.api.optimise import Gate as Gate
from dlagent.api.optimise import Metric as Metric
from dlagent.api.optimise import PrecisionChoice as PrecisionChoice
from dlagent.api.optimise import Prune as Prune
from dlagent.api.pods import Affinity, Environment, TopologySpread
from dlagent.api.pods import PodPlacement as PodPlacement
from dlagent.api.pods import Resources as Resources
from dlagent.api.python_step import MOST_SCRIPT_BYTES as MOST_SCRIPT_BYTES
from dlagent.api.python_step import ConfigMapKey as ConfigMapKey
from dlagent.api.python_step import PythonStep as PythonStep
from dlagent.api.scaling import Scaling as Scaling
from dlagent.api.scaling import ScalingMode as ScalingMode
from dlagent.api.scaling import ScheduledEvent as ScheduledEvent
from dlagent.api.sources import PICKLE_SUFFIXES
from dlagent.api.sources import Scheme as Scheme
from dlagent.api.sources import SecretReference as SecretReference
from dlagent.api.sources import Source as Source
from dlagent.api.step_names import NAME_RULES
from dlagent.api.steps import ActStep as ActStep
from dlagent.api.steps import ActSteps, PerceiveSteps
from dlagent.api.steps import ArgMax as ArgMax
from dlagent.api.steps import Cast as Cast
from dlagent.api.steps import CenterCrop as CenterCrop
from dlagent.api.steps import Interpolation as Interpolation
from dlagent.api.steps import L2Normalize as L2Normalize
from dlagent.api.steps import LabelNames as LabelNames
from dlagent.api.steps import Layout as Layout
from dlagent.api.steps import MeanPooling as MeanPooling
from dlagent.api.steps import Normalize as Normalize
from dlagent.api.steps import OneHot as OneHot
from dlagent.api.steps import PerceiveStep as PerceiveStep
from dlagent.api.steps import Reshape as Reshape
from dlagent.api.steps import Resize as Resize
from dlagent.api.steps import Scale as Scale
from dlagent.api.steps import Sigmoid as Sigmoid
from dlagent.api.steps import Softmax as Softmax
from dlagent.api.steps import Threshold as Threshold
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

_CALLABLE: dict[str, Any] = {
    "pattern": r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$",
}
_SAFE_TENSORS = (
    "(has(self.format) ? self.format == 'SafeTensors'"
    " : self.source.uri.lowerAscii().endsWith('.safetensors'))"
)
_MANUAL = "has(self.scaling) && self.scaling.mode == 'Manual'"


class ModelFormat(StrEnum):
    ONNX = "ONNX"
    EXPORTED_PROGRAM = "ExportedProgram"
    SAFE_TENSORS = "SafeTensors"


class Model(ApiModel):
    """The trained network."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "!has(self.inputs) || self.inputs.all(tensor, tensor.dataType != 'BYTES')",
                "must not have the type BYTES, since a network takes numbers; send what the text"
                " became, such as token ids as INT64",
                ".inputs",
            ),
            Rule(
                "has(self.format) || self.source.uri.lowerAscii()"
                rf".matches('\\.(onnx|pt2|safetensors|{PICKLE_SUFFIXES})$')",
                "must be set, since the suffix of source.uri is none of .onnx, .pt2, .safetensors;"
                " set format to ONNX, ExportedProgram or SafeTensors",
                ".format",
            ),
            Rule(
                f"has(self.factory) || !({_SAFE_TENSORS})",
                "must be set with SafeTensors, which hold weights and no network; name a callable"
                " of the build's image that makes the network, such as shoes.net:build",
                ".factory",
            ),
            Rule(
                f"!has(self.factory) || {_SAFE_TENSORS}",
                "only counts with SafeTensors; remove it, or set format: SafeTensors",
                ".factory",
            ),
            Rule(
                "!has(self.factory) || has(self.inputs)",
                "must be set with factory, since the network is traced with inputs of these shapes",
                ".inputs",
            ),
        )
    }

    source: Source
    """Where the model lies."""
    format: ModelFormat | None = None
    """How the file is read. Absent: by its suffix, .onnx, .pt2 or .safetensors."""
    factory: Annotated[str, Field(max_length=256, json_schema_extra=_CALLABLE)] | None = None
    """With SafeTensors only: module:callable in the build's image, such as shoes.net:build. Called
    without arguments it gives the torch.nn.Module that the weights belong to. It must be trusted
    as the image is: it runs in the build."""
    inputs: Tensors | None = None
    """What a request carries, before perceive. Absent: the model's own inputs."""
    outputs: Tensors | None = None
    """The model's own outputs, before act. Absent: as the model declares them."""


class Distill(ApiModel):
    """How what was made smaller is trained to answer as the source does."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "!has(self.student) || has(self.student.sha256)",
                "must be set: the artifact's name covers the student's content; take what"
                " `sha256sum FILE` prints",
                ".student.sha256",
            ),
            Rule(
                r"!has(self.student) || self.student.uri.lowerAscii().endsWith('.pt2')",
                "must name a .pt2 file, as torch.export.save writes it",
                ".student.uri",
            ),
        )
    }

    epochs: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_EPOCHS
    """How often training goes through the training part of the data set."""
    student: Source | None = None
    """A smaller network of your own with the same inputs and outputs. Absent: none."""


class Build(PodPlacement):
    """How the artifact is built."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "has(self.dataset) || !(has(self.gate) || has(self.distill) || (has(self.prune) &&"
                " self.prune.channelsPercent > 0) || self.precision in ['FP16', 'INT8'])",
                "must be set for precision FP16 or INT8, prune, distill and gate, since accuracy is"
                " judged on it; see docs/explanation/gate.md for what is in the file",
                ".dataset",
            ),
            Rule(
                "!has(self.dataset) || has(self.dataset.sha256)",
                "must be set: the artifact's name covers the data set's content; take what"
                " `sha256sum FILE` prints",
                ".dataset.sha256",
            ),
            Rule(
                "!has(self.timeBudgetMinutes) || self.timeBudgetMinutes < self.timeoutMinutes",
                "must be below timeoutMinutes (default 60): the build also fetches, measures and"
                " publishes",
                ".timeBudgetMinutes",
            ),
        )
    }

    dataset: Source | None = None
    """Labelled examples as a NumPy .npz file. Absent: only what changes no answer is tried."""
    gate: Gate | None = None
    """What must be left of the accuracy. Absent: all but one point of Accuracy."""
    precision: PrecisionChoice = PrecisionChoice.AUTO
    """The types that the network may compute in. Auto: whichever is fastest and passes the gate.
    FP16 needs serving.accelerator."""
    engine: EngineChoice = EngineChoice.AUTO
    """What may run the network in Triton. Auto: TensorRT too, where serving.accelerator is set and
    serving.nodeSelector names one kind of GPU. ONNXRuntime: nothing else."""
    prune: Prune | None = None
    """Whether channels may be removed. Absent: as many as the gate lets through."""
    distill: Distill | None = None
    """How what was made smaller is trained. Absent: with the defaults, without a student."""
    time_budget_minutes: Annotated[int, Field(ge=1, le=1439)] | None = None
    """How long versions are tried and compared. Absent: half of timeoutMinutes."""
    image: ImageName | None = None
    """Image that reads the model, of the same version as builder.image. Absent: builder.image."""
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

    @property
    def objective_ratio(self) -> float:
        """From 0 to 1. By decimals: 99.9 / 100 in floating point is above 0.999."""
        return float(decimal.Decimal(self.objective_percent) / 100)


class Slo(ApiModel):
    """The promise that the agent keeps."""

    latency: Latency
    """How fast how many of the requests must be answered."""
    window_days: Annotated[int, Field(ge=1, le=90)] = 7
    """Over how many days the promise is judged."""


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
            Rule(
                "!has(self.build) || !has(self.build.precision) || self.build.precision != 'FP16'"
                " || (has(self.serving) && has(self.serving.accelerator))",
                "FP16 is for accelerators, since on a CPU it is slower than FP32; set"
                " serving.accelerator, or another precision",
                ".build.precision",
            ),
            *NAME_RULES,
        )
    }

    model: Model
    """The trained network."""
    perceive: PerceiveSteps = []
    """Steps from the raw request to the network's inputs, in order; made part of the artifact."""
    act: ActSteps = []
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
