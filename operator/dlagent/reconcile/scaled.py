"""What the scaler needs of one DLAgent, read once for each spec and artifact, and kept small."""

from dataclasses import dataclass

from pydantic import ValidationError

from dlagent.api.types import DLAgentSpec, ScalingMode
from dlagent.domain.artifact.triton_config import serving_plan
from dlagent.domain.scaling.decision import ScalingSettings
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.tuning.table import service_time
from dlagent.manifests.store import record_name
from dlagent.reconcile import observe
from dlagent.reconcile.ports import ClusterReader, Object
from dlagent.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Scaled:
    """`artifact`: the first characters of its key, of the revision that serves; "" for none."""

    uid: str
    generation: int
    artifact: str
    mode: ScalingMode
    paused: bool
    window_days: int
    settings: ScalingSettings

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
    except ValidationError:
        return None
    profile = settings.runtimes.get(spec.serving.runtime)
    if profile is None:
        return None
    metadata, latency = obj["metadata"], spec.slo.latency
    return Scaled(
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        artifact=artifact,
        mode=spec.scaling.mode,
        paused=spec.paused,
        window_days=spec.slo.window_days,
        settings=ScalingSettings(
            service=_service_time(spec, metadata["namespace"], artifact, reader),
            threshold_seconds=latency.threshold_milliseconds / 1000,
            objective=float(latency.objective_percent) / 100,
            min_replicas=spec.scaling.min_replicas,
            max_replicas=spec.scaling.max_replicas,
            tick_seconds=settings.scaling.tick_seconds,
            hold_seconds=settings.scaling.hold_seconds,
            pod_start_seconds=profile.pod_start_seconds,
        ),
    )


def _service_time(
    spec: DLAgentSpec, namespace: str, artifact: str, reader: ClusterReader
) -> ServiceTime | None:
    """How long the artifact's batches take, as its build measured them."""
    record = observe.record(reader.get("ConfigMap", namespace, record_name(artifact)))
    if record is None or record.summary.interface is None:
        return None
    summary = record.summary
    batched = record.summary.interface.batched
    plan = serving_plan(summary.tau, spec.serving, spec.slo, batched)
    return service_time(
        summary.tau,
        plan.workers,
        max(1, plan.max_batch_size),
        plan.batch_delay_microseconds / 1e6,
    )
