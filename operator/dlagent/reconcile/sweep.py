"""Sweeps of the stores: looks at each namespace now and then, and starts a Job where one is due.

gather -> decide (`domain.sweep.decision`) -> apply, as the reconciler does for agents. The state
between looks is in the cluster: the Job while a sweep runs, a ConfigMap with the last one.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from dlagent.api import names
from dlagent.api.types import KIND
from dlagent.domain.artifact.request import artifact_key
from dlagent.domain.build.decision import known_digest
from dlagent.domain.status.errors import ClusterError
from dlagent.domain.status.model import parse_status
from dlagent.domain.sweep.decision import (
    Recorded,
    StoreSeen,
    SweepDecision,
    SweepJob,
    SweepRules,
    decide_sweep,
    is_due,
)
from dlagent.domain.sweep.unused import SweepReport, parse_report
from dlagent.manifests import store, sweep
from dlagent.reconcile import observe
from dlagent.reconcile.gather import AgentRefused, read_agent
from dlagent.reconcile.ports import Clock, ClusterReader, ClusterWriter, Object
from dlagent.runtime.settings import Settings

log = logging.getLogger(__name__)

_LOOK = timedelta(seconds=60)


class Sweeper:
    """`swept(report)` hears of each sweep that ended; of None where it failed."""

    def __init__(
        self,
        reader: ClusterReader,
        writer: ClusterWriter,
        clock: Clock,
        settings: Settings,
        swept: Callable[[SweepReport | None], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._swept = swept
        rules = settings.artifacts.sweep
        self._rules = SweepRules(
            rules.enabled,
            timedelta(hours=rules.interval_hours),
            timedelta(hours=rules.grace_hours),
        )
        self._next_look: datetime | None = None

    async def tick(self) -> None:
        """Called every few seconds; looks once a minute. What fails is tried at the next look."""
        now = self._clock.now()
        # A clock that was ahead and is put right leaves nobody waiting for it.
        if self._next_look is not None and self._next_look - _LOOK <= now < self._next_look:
            return
        self._next_look = now + _LOOK
        for namespace in sorted(self._namespaces()):
            try:
                await self._visit(namespace, now)
            except ClusterError as error:
                log.warning("the sweep of namespace %s: %s", namespace, error)
            # The boundary between namespaces: whatever somebody wrote in one, others are swept.
            except Exception:
                log.exception("the store of %s cannot be looked at", namespace)

    def _namespaces(self) -> set[str]:
        with_agents = {namespace for namespace, _ in self._reader.keys(KIND)}
        jobs = self._reader.keys("Job")
        return with_agents | {namespace for namespace, name in jobs if name == sweep.SWEEP_NAME}

    async def _visit(self, namespace: str, now: datetime) -> None:
        seen = await self._gather(namespace, now)
        decision = decide_sweep(seen, self._rules, now)
        if decision.ended is not None:
            await self._end(namespace, decision.ended)
        for record in decision.forget:
            log.info("the store of %s: record %s names no agent's artifact", namespace, record.key)
            await self._writer.delete("ConfigMap", namespace, record.name, record.uid)
        if decision.keep is not None:
            await self._start(namespace, decision)

    async def _end(self, namespace: str, job: SweepJob) -> None:
        if job.report is not None:
            log.info("the store of %s was swept: %s", namespace, job.report.model_dump_json())
        else:
            log.warning("the sweep of the store of %s failed: %s", namespace, job.failure)
        await self._writer.apply(sweep.outcome(namespace, job.created, job.report, job.failure))
        await self._writer.delete("Job", namespace, job.name, job.uid)
        self._swept(job.report)

    async def _start(self, namespace: str, decision: SweepDecision) -> None:
        artifacts, builder = self._settings.artifacts, self._settings.builder
        await self._writer.apply(store.network_policy(namespace, artifacts))
        grace_hours = artifacts.sweep.grace_hours
        await self._writer.apply(
            sweep.job(namespace, decision.keep or (), grace_hours, builder, artifacts)
        )

    async def _gather(self, namespace: str, now: datetime) -> StoreSeen:
        """What the decision needs. Which artifacts are named is found out only when it matters."""
        last = observe.last_sweep(self._reader.get("ConfigMap", namespace, sweep.SWEEP_NAME))
        job = self._job(namespace)
        if job is not None or not self._rules.enabled:
            return StoreSeen(job=job, last_sweep=last)
        agents = self._reader.list(KIND, namespace, {})
        seen = StoreSeen(min(map(observe.created, agents), default=None), last_sweep=last)
        if not is_due(seen, self._rules, now):
            return seen
        builds = self._reader.list("Job", namespace, _component("build"))
        if any(observe.is_unfinished(build) for build in builds):
            return replace(seen, building=True)
        deployments = self._reader.list("Deployment", namespace, _component("serving"))
        return replace(
            seen,
            named=frozenset((*await self._named_by_agents(agents), *_labelled(deployments))),
            unclear=_unclear(deployments),
            records=self._records(namespace),
        )

    def _records(self, namespace: str) -> tuple[Recorded, ...]:
        return tuple(
            Recorded(
                obj["metadata"]["name"],
                obj["metadata"]["uid"],
                obj["metadata"]["labels"][names.ARTIFACT_LABEL],
                observe.created(obj),
            )
            for obj in self._reader.list("ConfigMap", namespace, _component("store"))
            if names.ARTIFACT_LABEL in obj["metadata"]["labels"]
        )

    async def _named_by_agents(self, agents: Iterable[Object]) -> list[str]:
        """What their status says, and what their specs ask for, as far as that is known."""
        found = []
        for obj in agents:
            status = parse_status(obj.get("status"))
            if status.artifact is not None:
                found.append(status.artifact.key)
            try:
                agent = await read_agent(obj, self._settings, self._writer)
            except AgentRefused:
                continue
            digest = known_digest(agent, status)
            if digest is not None:
                found.append(artifact_key(agent.request, digest))
        return found

    def _job(self, namespace: str) -> SweepJob | None:
        obj = self._reader.get("Job", namespace, sweep.SWEEP_NAME)
        if obj is None:
            return None
        pods = self._reader.list("Pod", namespace, _component("store"))
        mine = [pod for pod in pods if observe.is_controlled_by(pod, obj)]
        its = observe.job(obj, observe.pods(mine))
        told = [c.exit_message or "" for pod in its.pods for c in pod.containers]
        report = next((found for text in told if (found := parse_report(text))), None)
        failure = None
        if its.succeeded and report is None:
            failure = "its report is lost"
        elif its.failure is not None:
            failure = " ".join(filter(None, (its.failure, its.failure_message, *told)))
        ended = (its.succeeded or its.failure is not None) and not its.deleting
        return SweepJob(its.name, its.uid, observe.created(obj), ended, report, failure)


def _component(name: str) -> dict[str, str]:
    return {names.COMPONENT_LABEL: name}


def _labelled(deployments: Iterable[Object]) -> Iterable[str]:
    labels = (obj["metadata"]["labels"].get(names.ARTIFACT_LABEL) for obj in deployments)
    return (key for key in labels if key)


def _unclear(deployments: Iterable[Object]) -> str | None:
    for obj in deployments:
        if not obj["metadata"]["labels"].get(names.ARTIFACT_LABEL):
            return f"Deployment {obj['metadata']['name']} does not say which artifact it serves"
    return None
