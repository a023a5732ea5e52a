"""What the scaler needs of one DLAgent, read once for each spec and artifact, and kept small."""

import zlib
from dataclasses import dataclass

from pydantic import ValidationError

from dlagent.api.types import DLAgentSpec, ScalingMode
from dlagent.domain.artifact.triton_config import serving_plan, warm_up_requests
from dlagent.domain.scaling.cost import PriceTable
from dlagent.domain.scaling.model import ScalingSettings
from dlagent.domain.scaling.schedule import Schedule
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.tuning.table import service_time
from dlagent.manifests.store import record_name
from dlagent.reconcile import observe
from dlagent.reconcile.ports import ClusterReader, Object
from dlagent.reconcile.schedule import ScheduleError, read_schedule
from dlagent.runtime.settings import Settings

_SPREAD_SECONDS = 1800  # over which thousands of agents learn one after the other


@dataclass(frozen=True, slots=True)
class Scaled:
    """`artifact`: the first characters of its key, of the revision that serves; "" for none.

    `warm_up_requests`: how many requests each pod counts before those of clients. `cached`: pods
    have a response cache. `accelerators` are of the resource `accelerator`; `price` is a replica's
    an hour, None where it is not known.
    """

    uid: str
    generation: int
    artifact: str
    mode: ScalingMode
    paused: bool
    window_days: int
    warm_up_requests: int
    cached: bool
    settings: ScalingSettings
    schedule: Schedule
    accelerator: str | None
    accelerators: int
    price: float | None

    @property
    def decides(self) -> bool:
        """Whether the number of replicas is the scaler's to decide."""
        return self.mode is not ScalingMode.MANUAL and not self.paused

    def is_of(self, obj: Object, artifact: str) -> bool:
        """Whether nothing has changed that it was read from."""
        metadata = obj["metadata"]
        known = (self.uid, self.generation, self.artifact)
        complete = self.settings.service is not None or not artifact
        return complete and known == (metadata["uid"], metadata.get("generation", 0), artifact)


def scaled_agent(
    obj: Object, artifact: str, reader: ClusterReader, settings: Settings
) -> Scaled | None:
    """None where the operator cannot use the spec; the reconciler says so in the status."""
    try:
        spec = DLAgentSpec.model_validate(obj.get("spec") or {})
        schedule = read_schedule(spec)
    except (ValidationError, ScheduleError):
        return None
    profile = settings.runtimes.get(spec.serving.runtime)
    if profile is None:
        return None
    metadata, latency = obj["metadata"], spec.slo.latency
    accelerator = spec.serving.accelerator
    resource = accelerator.resource if accelerator is not None else None
    count = accelerator.count if accelerator is not None else 0
    service, warm_up = _served(spec, metadata["namespace"], artifact, reader)
    return Scaled(
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        artifact=artifact,
        mode=spec.scaling.mode,
        paused=spec.paused,
        window_days=spec.slo.window_days,
        warm_up_requests=warm_up,
        cached=spec.serving.response_cache,
        settings=ScalingSettings(
            service=service,
            threshold_seconds=latency.threshold_milliseconds / 1000,
            objective=latency.objective_ratio,
            min_replicas=spec.scaling.min_replicas,
            max_replicas=spec.scaling.max_replicas,
            tick_seconds=settings.scaling.tick_seconds,
            hold_seconds=settings.scaling.hold_seconds,
            pod_start_seconds=profile.pod_start_seconds,
            phase_seconds=float(zlib.crc32(metadata["uid"].encode()) % _SPREAD_SECONDS),
        ),
        schedule=schedule,
        accelerator=resource,
        accelerators=count,
        price=_price(resource, count, settings),
    )


def _price(resource: str | None, count: int, settings: Settings) -> float | None:
    prices = settings.prices
    if prices is None:
        return None
    return PriceTable(prices.replica, prices.accelerators).of_replica(resource, count)


def _served(
    spec: DLAgentSpec, namespace: str, artifact: str, reader: ClusterReader
) -> tuple[ServiceTime | None, int]:
    """How long the artifact's batches take, as its build measured them; its warm-up requests."""
    record = observe.record(reader.get("ConfigMap", namespace, record_name(artifact)))
    if record is None or record.summary.interface is None:
        return None, 0
    tau, interface = record.summary.tau, record.summary.interface
    plan = serving_plan(tau, spec.serving, spec.slo, interface)
    delay_seconds = plan.batch_delay_microseconds / 1e6
    service = service_time(tau, plan.workers, max(1, plan.max_batch_size), delay_seconds)
    return service, warm_up_requests(interface, plan)
