"""A plan to requests: renders what is to be there, and writes only what is not so already.

The first write that fails ends the visit: the next one sees what was done and decides anew.
"""

import hashlib
import json
from dataclasses import replace
from typing import assert_never

from dlagent.api import names
from dlagent.api.conditions import ConditionType
from dlagent.api.status import DLAgentStatus
from dlagent.api.types import GROUP, KIND, VERSION
from dlagent.domain.artifact.ensemble import render
from dlagent.domain.artifact.latency_histogram import edges_milliseconds, has_histograms
from dlagent.domain.artifact.triton_config import serving_plan
from dlagent.domain.rollout.plan import (
    Action,
    EnsureNetwork,
    EnsureRevision,
    Plan,
    PointService,
    Scale,
    StartBuild,
    WriteRecord,
)
from dlagent.domain.rollout.seen import Agent
from dlagent.domain.status.errors import NameTakenError
from dlagent.domain.status.model import parse_status, status_json
from dlagent.manifests import build, network, store
from dlagent.manifests.common import Owner
from dlagent.manifests.deployment import Revision, deployment, deployment_name, scale
from dlagent.reconcile import observe
from dlagent.reconcile.compare import contains
from dlagent.reconcile.ports import ClusterReader, ClusterWriter, Key, Object
from dlagent.runtime.settings import Settings

_OWN_CONDITIONS = frozenset(ConditionType)


class Applier:
    """Carries out plans. Remembers what it wrote, so that it does not fight a mutating webhook."""

    def __init__(self, reader: ClusterReader, writer: ClusterWriter, settings: Settings) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        # Per agent and object: digest of what was applied, and the version that came of it.
        self._applied: dict[Key, dict[tuple[str, str], tuple[str, str]]] = {}

    async def carry_out(self, obj: Object, agent: Agent, plan: Plan) -> None:
        """Write what the plan wants, but for its deletions.

        Raises:
            ClusterError: a request failed; nothing after it was tried.
        """
        for action in plan.actions:
            await self._act(agent, action)
        if await self.write_status(obj, plan.status):
            for event in plan.events:
                await self._writer.emit(obj, event.type, event.reason, event.message)

    async def clear(self, agent: Agent, plan: Plan) -> None:
        """Remove what the plan does not want any more; after `carry_out`. Raises as that does."""
        for deletion in plan.deletions:
            await self._writer.delete(deletion.kind, agent.namespace, deletion.name, deletion.uid)

    async def write_status(self, obj: Object, status: DLAgentStatus) -> bool:
        """Write the status where it says anything new; True if it did."""
        if _said(status) == _said(parse_status(obj.get("status"))):
            return False
        metadata = obj["metadata"]
        await self._writer.apply_status(
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "metadata": {
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "resourceVersion": metadata["resourceVersion"],
                },
                "status": status_json(status),
            }
        )
        return True

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._applied.pop(key, None)

    async def _act(self, agent: Agent, action: Action) -> None:
        match action:
            case StartBuild():
                await self._start_build(agent, action)
            case WriteRecord():
                await self._ensure(agent, store.record(agent.namespace, action.key, action.summary))
            case EnsureNetwork():
                await self._ensure_network(agent)
            case EnsureRevision():
                await self._ensure_revision(agent, action)
            case Scale():
                await self._writer.scale(
                    scale(agent.namespace, action.deployment, action.uid, action.replicas)
                )
            case PointService():
                await self._ensure(agent, network.service(_owner(agent), action.revision))
            case _:
                assert_never(action)

    async def _start_build(self, agent: Agent, action: StartBuild) -> None:
        await self._ensure_store(agent)
        builder = self._settings.builder
        await self._ensure(agent, build.network_policy(agent.namespace))
        if build.needs_network(action.request):
            await self._ensure(agent, build.egress_policy(agent.namespace, builder.egress))
        await self._writer.apply(
            build.job(
                _owner(agent),
                action.build_id,
                action.request,
                agent.spec,
                agent.build_options,
                builder,
                self._settings.runtimes[agent.spec.serving.runtime],
                self._settings.artifacts,
            )
        )

    async def _ensure_store(self, agent: Agent) -> None:
        settings = self._settings.artifacts
        if settings.url is not None:
            await self._ensure(agent, store.network_policy(agent.namespace, settings))
            return
        # Made once: a claim cannot be changed much, its size may be raised by hand, and a user may
        # have brought one (which, without our label, the cache does not have).
        if self._reader.get("PersistentVolumeClaim", agent.namespace, names.STORE_NAME) is None:
            await self._writer.create(store.claim(agent.namespace, settings))

    async def _ensure_network(self, agent: Agent) -> None:
        owner = _owner(agent)
        for wanted in (
            network.service_account(owner),
            network.network_policy(owner),
            network.headless_service(owner),
            network.disruption_budget(owner),
        ):
            await self._ensure(agent, wanted)
        if self._settings.artifacts.url is not None:
            await self._ensure_store(agent)

    async def _ensure_revision(self, agent: Agent, action: EnsureRevision) -> None:
        name = deployment_name(agent.name, action.revision)
        live = self._reader.get("Deployment", agent.namespace, name)
        wanted = self._render(agent, action)
        if live is None:
            await self._refuse_foreign(agent, wanted, live)
            await self._ensure_store(agent)
            created = await self._writer.apply(wanted)
            uid = created["metadata"]["uid"]
            await self._writer.scale(scale(agent.namespace, name, uid, action.replicas))
            return
        if _template_version(live) == _template_version(wanted):
            await self._ensure(agent, wanted)

    def _render(self, agent: Agent, action: EnsureRevision) -> Object:
        artifact, serving, slo = action.artifact, agent.spec.serving, agent.spec.slo
        profile = self._settings.runtimes[serving.runtime]
        plan = serving_plan(artifact.tau, serving, slo, artifact.interface)
        if has_histograms(profile.target.triton_version):
            edges = edges_milliseconds(slo.latency.threshold_milliseconds)
            plan = replace(plan, histogram_milliseconds=edges)
        revision = Revision(
            id=action.revision,
            artifact_key=artifact.key,
            artifact_bytes=artifact.size_bytes,
            configs=render(
                artifact.interface, plan, artifact.engine, agent.request.target.simulated
            ),
        )
        settings = self._settings
        return deployment(
            _owner(agent),
            revision,
            serving,
            profile,
            settings.builder,
            settings.drain,
            settings.artifacts,
        )

    async def _ensure(self, agent: Agent, wanted: Object) -> None:
        """Apply unless the live object holds it all, or nothing changed since it was applied."""
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        live = self._reader.get(kind, agent.namespace, name)
        if live is not None and (contains(live, wanted) or self._was_applied(agent, live, wanted)):
            return
        if "ownerReferences" in wanted["metadata"]:
            await self._refuse_foreign(agent, wanted, live)
        stored = await self._writer.apply(wanted)
        if not contains(stored, wanted):  # a webhook or a newer apiserver made something else of it
            version = str(stored["metadata"].get("resourceVersion"))
            remembered = self._applied.setdefault(Key(agent.namespace, agent.name), {})
            remembered[kind, name] = (_digest(wanted), version)

    async def _refuse_foreign(self, agent: Agent, wanted: Object, live: Object | None) -> None:
        """Applies are forced: never over what only has the same name, such as account "default".

        Raises:
            NameTakenError: there is such an object, which stays as it is.
        """
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        found = live or await self._writer.read(kind, agent.namespace, name)
        if found is not None and not observe.is_agents(found, agent.name):
            raise NameTakenError(kind, name)

    def _was_applied(self, agent: Agent, live: Object, wanted: Object) -> bool:
        remembered = self._applied.get(Key(agent.namespace, agent.name), {})
        version = str(live["metadata"].get("resourceVersion"))
        return remembered.get((wanted["kind"], wanted["metadata"]["name"])) == (
            _digest(wanted),
            version,
        )


def _owner(agent: Agent) -> Owner:
    return Owner(agent.namespace, agent.name, agent.uid)


def _template_version(obj: Object) -> str | None:
    return observe.annotation(obj, names.TEMPLATE_VERSION_ANNOTATION)


def _digest(obj: Object) -> str:
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()


def _said(status: DLAgentStatus) -> DLAgentStatus:
    """The status as far as it is ours: others may add conditions, in any order."""
    own = [item for item in status.conditions if item.type in _OWN_CONDITIONS]
    return status.model_copy(update={"conditions": sorted(own, key=lambda item: item.type)})
