"""The conditions of a DLAgent and the reasons they may give: closed lists, for people and programs.

Reasons are part of the API: `kubectl wait`, alerts and scripts match on them. The CRD admits any
reason all the same, so that an operator newer than the CRD can say what it has to say.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition is about; all but the last two are there from the first visit."""

    READY = "Ready"
    AVAILABLE = "Available"
    ARTIFACT_READY = "ArtifactReady"
    SLO_MET = "SLOMet"
    SCALING_ACTIVE = "ScalingActive"
    SCALING_LIMITED = "ScalingLimited"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


MEANING = {
    ConditionType.READY: "The current generation serves, its artifact was verified, and as many "
    "replicas as asked for are ready (in mode Auto, as minReplicas says).",
    ConditionType.AVAILABLE: "Some verified revision serves, if perhaps an older one.",
    ConditionType.ARTIFACT_READY: "The artifact of the current generation is in the store.",
    ConditionType.SLO_MET: "The objective holds over the window, as far as it was seen. Unknown "
    "without data, traffic or history.",
    ConditionType.SCALING_ACTIVE: "The number of replicas is decided by fresh measurements.",
    ConditionType.SCALING_LIMITED: "The number of replicas wanted is outside what is allowed or "
    "possible.",
    ConditionType.RECONCILING: "The operator is working on it. Present only while True.",
    ConditionType.STALLED: "The operator cannot get on without a change. Present only while True.",
}


class Reason(StrEnum):
    """Why a condition is what it is."""

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
    EVICTED = "Evicted"
    UNSCHEDULABLE = "Unschedulable"
    VOLUME_MISSING = "VolumeMissing"
    VOLUME_NOT_BOUND = "VolumeNotBound"
    IMAGE_NOT_FOUND = "ImageNotFound"
    CONTAINER_CONFIG = "ContainerConfigError"
    CONTAINER_FAILED = "ContainerFailed"
    PAUSED = "Paused"
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_RUNTIME = "UnknownRuntime"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    DIGEST_MISMATCH = "DigestMismatch"
    SOURCE_TOO_LARGE = "SourceTooLarge"
    INVALID_MODEL = "InvalidModel"
    UNSUPPORTED_OPERATOR = "UnsupportedOperator"
    PICKLE_REFUSED = "PickleRefused"
    SHAPE_MISMATCH = "ShapeMismatch"
    PARITY_FAILED = "ParityFailed"
    PYTHON_STEP_FAILED = "PythonStepFailed"
    PYTHON_STEP_UNAVAILABLE = "PythonStepUnavailable"
    INVALID_DATASET = "InvalidDataset"
    GATE_FAILED = "GateFailed"
    INVALID_PATH = "InvalidPath"
    NO_SPACE = "NoSpace"
    INTERNAL = "Internal"
    WRITE_REFUSED = "WriteRefused"
    MET = "Met"
    BUDGET_SPENT = "BudgetSpent"
    NO_TRAFFIC = "NoTraffic"
    NO_DATA = "NoData"
    INSUFFICIENT_HISTORY = "InsufficientHistory"
    ACTIVE = "Active"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    MANUAL = "Manual"
    ADVISE = "Advise"
    WITHIN_LIMITS = "WithinLimits"
    AT_MAXIMUM = "AtMaximum"
    AT_MINIMUM = "AtMinimum"
    INFEASIBLE = "Infeasible"
    TRAFFIC_SKEW = "TrafficSkew"
