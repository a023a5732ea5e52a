"""Everything that is to be known about one agent, from the cache and its pods, as one value.

Reads only. `read_agent` says what the spec asks for, or why it cannot be used; `gather` adds what
is there.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from dlagent.api import names
from dlagent.api.conditions import Reason
from dlagent.api.status import DLAgentStatus
from dlagent.api.types import KIND, DLAgentSpec, EngineChoice
from dlagent.domain.artifact.accelerator import build_placement, target_of
from dlagent.domain.artifact.request import (
    Target,
    artifact_key,
    build_id,
    build_request,
    pinned_files,
)
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.build.decision import known_digest
from dlagent.domain.rollout.decide import pods_to_check
from dlagent.domain.rollout.seen import Agent, Check, Deployment, Job, Pod, Record, Seen
from dlagent.domain.scaling.view import ScalingView
from dlagent.domain.status.errors import PodUnreachable
from dlagent.domain.status.model import parse_status
from dlagent.manifests.common import placement, serving_selector
from dlagent.manifests.store import record_name
from dlagent.reconcile import observe
from dlagent.reconcile.ports import (
    BuildLogs,
    ClusterReader,
    ConfigMaps,
    Inference,
    Key,
    Object,
    ScalingViews,
)
from dlagent.reconcile.schedule import ScheduleError, read_schedule
from dlagent.reconcile.scripts import FoundScripts, read_scripts
from dlagent.runtime.settings import BuilderSettings, Settings


class AgentRefused(Exception):
    """The operator cannot use this spec; `reason` and the message are for the conditions."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def read_agent(obj: Object, settings: Settings, config_maps: ConfigMaps) -> Agent:
    """What a DLAgent asks for, with the scripts of its Python steps.

    Raises:
        AgentRefused: the spec does not parse, or asks for what the settings do not have.
        ClusterError: a ConfigMap could not be read.
    """
    return _parse(obj, settings, await read_scripts(obj, config_maps))


def _parse(obj: Object, settings: Settings, found: FoundScripts) -> Agent:
    try:
        spec = DLAgentSpec.model_validate(obj.get("spec") or {})
    except ValidationError as error:
        raise AgentRefused(Reason.INVALID_SPEC, _complaints(error)) from error
    try:
        read_schedule(spec)
    except ScheduleError as error:
        raise AgentRefused(Reason.INVALID_SPEC, f"{error}.") from error
    profile = settings.runtimes.get(spec.serving.runtime)
    if profile is None:
        known = ", ".join(sorted(settings.runtimes))
        raise AgentRefused(
            Reason.UNKNOWN_RUNTIME,
            f"The operator's settings have no runtime {spec.serving.runtime!r}. Set"
            f" spec.serving.runtime to one of: {known}.",
        )
    builder = settings.builder
    target = target_of(spec, Target.model_validate(profile.target.model_dump()), profile.image)
    metadata = obj["metadata"]
    try:
        request = build_request(
            spec,
            spec.model.source.sha256,
            target,
            builder.max_source_bytes,
            builder.allowed_hosts,
            builder.download_cache_bytes,
            spec.build.image or builder.image,
            found.scripts,
        )
        build = build_id(request, observe.annotation(obj, names.RETRY_ANNOTATION))
    except (ArithmeticError, ValueError) as error:  # a number that admission let through
        raise AgentRefused(
            Reason.INVALID_SPEC,
            f"A number in spec.perceive, spec.act or spec.build.gate cannot be read: {error!r}.",
        ) from error
    _refuse_scheme("spec.model.source", request.source_uri, settings)
    for field, file in pinned_files(request).items():
        _refuse_scheme(field, file.uri, settings)
    return Agent(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        spec=spec,
        request=request,
        build_id=build,
        build_options=build_options(spec, builder, target.simulated is not None),
        restarted_at=observe.annotation(obj, names.RESTARTED_AT_ANNOTATION),
        script_problem=found.problem,
    )


def _refuse_scheme(field: str, uri: str, settings: Settings) -> None:
    scheme = uri.partition("://")[0]
    allowed = settings.builder.allowed_schemes
    if scheme not in allowed:
        raise AgentRefused(
            Reason.INVALID_SPEC,
            f"Sources of scheme {scheme!r} are not allowed. Set {field}.uri to one of"
            f" {', '.join(f'{item}://' for item in allowed)}, or add the scheme to"
            " builder.allowedSchemes in the operator's settings.",
        )


def _complaints(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False)
    parts = [f"spec.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in details[:5]]
    return "; ".join(parts) + "."


def build_options(spec: DLAgentSpec, builder: BuilderSettings, simulated: bool) -> str:
    """A digest of what the Job is made of beside the build itself: other options, another Job.

    `simulated`: so is the accelerator.
    """
    where = placement(build_placement(spec, simulated))
    secret = spec.model.source.secret_ref
    accelerator = spec.serving.accelerator
    options = {
        # What is left at Auto is left out: a Job stays the one of an operator without this field.
        "build": spec.build.model_dump(
            mode="json",
            by_alias=True,
            exclude_none=True,
            exclude={"engine"} if spec.build.engine is EngineChoice.AUTO else None,
        ),
        "limit": builder.max_source_bytes,
        "hosts": builder.allowed_hosts,
        "secret": secret.name if secret is not None else None,
        # What it measures on.
        "runtime": spec.serving.runtime,
        "accelerator": accelerator.model_dump(mode="json") if accelerator is not None else None,
    }
    if where != placement(spec.build):
        options["placement"] = where
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Gatherer:
    """Reads what is there; the log of a running build and the self-check are its only requests."""

    def __init__(
        self,
        reader: ClusterReader,
        logs: BuildLogs,
        inference: Inference,
        views: ScalingViews,
        settings: Settings,
        config_maps: ConfigMaps,
    ) -> None:
        self._config_maps = config_maps
        self._reader = reader
        self._logs = logs
        self._inference = inference
        self._views = views
        self._settings = settings

    async def parse(self, obj: Object) -> Agent:
        """What a DLAgent asks for. Raises as `read_agent`."""
        return await read_agent(obj, self._settings, self._config_maps)

    async def gather(self, obj: Object, agent: Agent, now: datetime) -> Seen:
        status = parse_status(obj.get("status"))
        seen = Seen(
            agent=agent,
            status=status,
            jobs=await self._jobs(agent),
            records=self._records(agent, status),
            deployments=self._deployments(agent),
            selected=observe.selected_revision(
                self._reader.get("Service", agent.namespace, agent.name)
            ),
            scaling=self._view(agent),
        )
        wanted = pods_to_check(seen, now)
        if wanted is None:
            return seen
        checks = [self._check(agent, pod, wanted.check) for pod in wanted.pods]
        return replace(seen, checks=tuple(await asyncio.gather(*checks)))

    def _view(self, agent: Agent) -> ScalingView | None:
        """What the scaler decided for this spec; what it decided for another one is history."""
        view = self._views.view(Key(agent.namespace, agent.name))
        current = view is not None and (view.uid, view.generation) == (agent.uid, agent.generation)
        return view if current else None

    async def _jobs(self, agent: Agent) -> tuple[Job, ...]:
        objects = self._reader.list("Job", agent.namespace, {names.COMPONENT_LABEL: "build"})
        return tuple(
            [
                await self._job(agent, obj)
                for obj in objects
                if observe.build_of(obj) == agent.build_id or agent.uid in observe.owners(obj)
            ]
        )

    async def _job(self, agent: Agent, obj: Object) -> Job:
        build = observe.build_of(obj)
        labels = {names.COMPONENT_LABEL: "build", names.BUILD_LABEL: build}
        pods = observe.pods(self._reader.list("Pod", agent.namespace, labels))
        job = observe.job(obj, pods)
        progress = await self._progress(agent.namespace, job) if build == agent.build_id else None
        awaited = job.succeeded and await self._is_awaited(agent, job)
        return replace(job, progress=progress, awaited=awaited)

    async def _progress(self, namespace: str, job: Job) -> str | None:
        """What the newest pod is at: of its containers the latest that has said something."""
        pod = job.pods[-1] if job.pods else None
        if pod is None or pod.ended:
            return None
        for container in job.begun:
            lines = await self._logs.last_lines(namespace, pod.name, container.name)
            if (stage := stage_of(lines)) is not None:
                return stage
        return None

    async def _is_awaited(self, agent: Agent, job: Job) -> bool:
        """Another agent of the namespace asked for the same build and has not taken it over."""
        result = job.result
        if result is None:
            return False
        for obj in self._reader.list(KIND, agent.namespace, {}):
            if obj["metadata"]["uid"] == agent.uid or observe.is_deleting(obj):
                continue
            if await self._awaits(obj, job.build_id, result.key):
                return True
        return False

    async def _awaits(self, obj: Object, build: str, key: str | None) -> bool:
        try:
            other = await self.parse(obj)
        except AgentRefused:
            return False
        if other.spec.paused or other.build_id != build:
            return False
        artifact = parse_status(obj.get("status")).artifact
        return artifact is None or artifact.key != key

    def _records(self, agent: Agent, status: DLAgentStatus) -> tuple[Record, ...]:
        digest = known_digest(agent, status)
        if digest is None:
            return ()
        name = record_name(artifact_key(agent.request, digest))
        record = observe.record(self._reader.get("ConfigMap", agent.namespace, name))
        return () if record is None else (record,)

    def _deployments(self, agent: Agent) -> tuple[Deployment, ...]:
        selector = serving_selector(agent.name)
        by_revision: dict[str, list[Object]] = {}
        for pod in self._reader.list("Pod", agent.namespace, selector):
            revision = pod["metadata"]["labels"].get(names.REVISION_LABEL, "")
            by_revision.setdefault(revision, []).append(pod)
        return tuple(
            observe.deployment(obj, observe.pods(by_revision.get(observe.revision_of(obj), [])))
            for obj in self._reader.list("Deployment", agent.namespace, selector)
            if observe.belongs_to(obj, agent.uid) and observe.is_revision(obj, agent.name)
        )

    async def _check(self, agent: Agent, pod: Pod, check: SelfCheck) -> Check:
        if pod.ip is None:
            return Check(pod.name, unreachable=True)
        try:
            return Check(
                pod.name, failure=await self._inference.self_check(pod.ip, agent.name, check)
            )
        except PodUnreachable:
            return Check(pod.name, unreachable=True)


def stage_of(lines: Sequence[str]) -> str | None:
    """What a build last said that it is doing, among what libraries print; None where nothing."""
    return next((stage for line in reversed(lines) if (stage := _reported(line))), None)


def _reported(line: str) -> str | None:
    try:
        report = json.loads(line)
    except ValueError:
        return None
    if not isinstance(report, dict) or not isinstance(report.get("message"), str):
        return None
    message: str = report["message"]
    step, of = report.get("step"), report.get("of")
    return f"{message} ({step} of {of})" if step is not None and of is not None else message
