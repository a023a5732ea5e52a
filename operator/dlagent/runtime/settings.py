"""The operator's settings: one YAML file, which the chart keeps in a ConfigMap.

main loads it once at start-up; the reconcilers and manifests read from it. A key that is not known
is refused here (a misspelt setting must not be ignored silently), unlike a DLAgent's.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from dlagent.api.base import Quantity
from dlagent.api.types import Resources, Scheme

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonEmpty = Annotated[str, Field(min_length=1)]
PositiveHours = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)]


class SettingsError(ValueError):
    """The settings cannot be used; the message has one line a mistake, each with its path."""


class SettingsModel(BaseModel):
    """Base of all parts: frozen, camelCase in YAML, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class TransportProtocol(StrEnum):
    TCP = "TCP"
    UDP = "UDP"


class Egress(SettingsModel):
    """Addresses that pods may reach beside the public ones."""

    cidr: IPvAnyNetwork
    port: Annotated[int, Field(ge=1, le=65535)]
    protocol: TransportProtocol = TransportProtocol.TCP


class BuilderSettings(SettingsModel):
    """How build Jobs and loaders run.

    `isolated_pod_annotations` are for builds that need no network, beside `pod_annotations`;
    `allowed_hosts` are patterns (`*.models.internal`) of hosts whose addresses may be private;
    `download_cache_bytes` is how much of a store downloads may take, 0 for none.
    """

    image: NonEmpty
    image_pull_policy: PullPolicy = "IfNotPresent"
    max_source_bytes: PositiveInt = 2 * 1024**3  # ONNX in one file holds no more
    resources: Resources = Resources(
        requests={"cpu": "1", "memory": "2Gi"}, limits={"memory": "8Gi"}
    )
    pod_annotations: dict[str, str] = {}
    isolated_pod_annotations: dict[str, str] = {}
    allowed_schemes: Annotated[list[Scheme], Field(min_length=1)] = [Scheme.PVC]
    allowed_hosts: list[NonEmpty] = []
    egress: list[Egress] = []
    download_cache_bytes: NonNegativeInt = 4 * 1024**3


class Simulated(SettingsModel):
    """How long a simulated accelerator takes for a batch; the local cluster's Triton has one."""

    base_milliseconds: Milliseconds
    per_item_milliseconds: Milliseconds


class Target(SettingsModel):
    """What artifacts for a runtime are built for; it is part of their key."""

    triton_version: NonEmpty
    accelerator: NonEmpty = "cpu"
    simulated: Simulated | None = None


class RuntimeProfile(SettingsModel):
    """How Triton is run. `args` may use $(POD_IP); `startup_seconds` is how long it may load.

    `pod_start_seconds` is how long a pod ordinarily takes from its creation until it is ready.
    """

    image: NonEmpty
    image_pull_policy: PullPolicy = "IfNotPresent"
    command: list[str] | None = None
    args: list[str] = []
    env: list[dict[str, Any]] = []
    target: Target
    pod_annotations: dict[str, str] = {}
    startup_seconds: PositiveInt = 300
    pod_start_seconds: PositiveInt = 60


class AccessMode(StrEnum):
    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_MANY = "ReadWriteMany"


class SweepSettings(SettingsModel):
    """How often each namespace's store is swept, and how long an unused artifact is kept."""

    enabled: bool = True
    interval_hours: PositiveHours = 24
    grace_hours: PositiveHours = 168


class ArtifactSettings(SettingsModel):
    """Where a namespace's artifacts are: a claim, or below `url` in an object store.

    Of the claim: ReadWriteMany where there are several nodes. Of the object store: `secret_name`
    is a Secret in each agent's namespace, whose entries become environment variables.
    """

    url: Annotated[str, Field(pattern=r"^(s3|gs|az)://[^/?#]+(/[^?#]*)?$")] | None = None
    secret_name: NonEmpty | None = None
    egress: list[Egress] = []
    storage_class_name: str | None = None
    size: Quantity = "20Gi"
    access_modes: Annotated[list[AccessMode], Field(min_length=1)] = [AccessMode.READ_WRITE_MANY]
    sweep: SweepSettings = SweepSettings()

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if self.url is None and (self.secret_name is not None or self.egress):
            raise ValueError("secretName and egress are of an object store: give its url")
        return self


class DrainSettings(SettingsModel):
    """How a serving pod goes: preStop sleep, then Triton's own exit time-out."""

    sleep_seconds: NonNegativeInt = 5
    exit_timeout_seconds: PositiveInt = 30


class PrometheusSettings(SettingsModel):
    """Where load and latency are read from. Without a URL nothing is scaled by load.

    `scrape_interval_seconds` is how often Prometheus asks the Triton pods: a sample that is older
    than two and a half of it is stale.
    """

    url: Annotated[str, Field(pattern=r"^(https?://.+)?$")] | None = None
    scrape_interval_seconds: PositiveInt = 15
    timeout_seconds: PositiveInt = 5
    bearer_token_file: Path | None = None
    ca_file: Path | None = None


class ScalerSettings(SettingsModel):
    """How often the number of replicas is decided, and how long fewer must have been enough."""

    tick_seconds: PositiveInt = 10
    hold_seconds: PositiveInt = 120


class PriceSettings(SettingsModel):
    """What replicas cost an hour: each, and each accelerator by the name of its resource."""

    currency: NonEmpty
    replica: Price = 0.0
    accelerators: dict[NonEmpty, Price] = {}


class ConcurrencySettings(SettingsModel):
    workers: PositiveInt = 8


class WatchSettings(SettingsModel):
    """Namespaces that the operator looks at; none named means all."""

    namespaces: list[NonEmpty] = []


class LeaseSettings(SettingsModel):
    """The Lease of the leader; the times are those of client-go by default.

    A follower takes over at the earliest `duration_seconds` after the last renewal that it saw; a
    leader that could not renew for `renew_deadline_seconds` ends itself before that.
    """

    name: NonEmpty = "dlagent-operator"
    duration_seconds: PositiveInt = 15
    renew_deadline_seconds: PositiveInt = 10
    retry_period_seconds: PositiveInt = 2

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.retry_period_seconds < self.renew_deadline_seconds < self.duration_seconds:
            raise ValueError(
                "retryPeriodSeconds must be below renewDeadlineSeconds, "
                "and that below durationSeconds"
            )
        return self


class ServerSettings(SettingsModel):
    """Where /metrics, /healthz and /readyz are served; port 0 takes a free one."""

    host: NonEmpty = "0.0.0.0"  # noqa: S104  # probes and Prometheus come from other pods
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LoggingSettings(SettingsModel):
    format: LogFormat = LogFormat.JSON
    level: LogLevel = LogLevel.INFO


class Settings(SettingsModel):
    builder: BuilderSettings
    runtimes: Annotated[dict[str, RuntimeProfile], Field(min_length=1)]
    artifacts: ArtifactSettings = ArtifactSettings()
    drain: DrainSettings = DrainSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    scaling: ScalerSettings = ScalerSettings()
    prices: PriceSettings | None = None
    concurrency: ConcurrencySettings = ConcurrencySettings()
    resync_seconds: PositiveInt = 600
    watch: WatchSettings = WatchSettings()
    lease: LeaseSettings = LeaseSettings()
    server: ServerSettings = ServerSettings()
    logging: LoggingSettings = LoggingSettings()


def parse_settings(text: str) -> Settings:
    """Settings from YAML text.

    Raises:
        SettingsError: not YAML, or a field is missing, unknown or out of range.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"settings are not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise SettingsError("settings must be a YAML mapping with at least builder and runtimes")
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaints(error))) from error


def load_settings(path: Path) -> Settings:
    """Settings from a YAML file.

    Raises:
        SettingsError: as `parse_settings`, or the file cannot be read; the path is in the message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    try:
        return parse_settings(text)
    except SettingsError as error:
        raise SettingsError(f"{path}:\n{error}") from error


def _complaints(error: ValidationError) -> list[str]:
    """One line a mistake: the field's path as it is written in YAML, and what is wrong."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in item["loc"]) or "settings"
        wrong = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
        lines.append(f"{path}: {wrong}")
    return lines
