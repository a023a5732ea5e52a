"""One visit to one agent: gather, decide, apply. Called by the work queue; see `reconcile`."""

import logging

from dlagent.api.conditions import Reason
from dlagent.api.status import DLAgentStatus
from dlagent.api.types import KIND
from dlagent.domain.rollout.decide import decide
from dlagent.domain.rollout.plan import Plan
from dlagent.domain.rollout.seen import Agent
from dlagent.domain.status.decision import refused_status, unusable_status
from dlagent.domain.status.errors import ClusterError, NameTakenError
from dlagent.domain.status.events import decide_events
from dlagent.domain.status.model import parse_status
from dlagent.reconcile import observe
from dlagent.reconcile.apply import Applier
from dlagent.reconcile.gather import AgentRefused, Gatherer
from dlagent.reconcile.ports import (
    BuildLogs,
    Clock,
    ClusterReader,
    ClusterWriter,
    Inference,
    Key,
    Object,
    ScalingViews,
)
from dlagent.runtime.settings import Settings

log = logging.getLogger(__name__)

# The cache is behind what we wrote, or somebody else wrote: see it, then decide anew.
_CONFLICT_SECONDS = 1.0
# A request that the apiserver will not take: until somebody changes something, tried rarely.
_REFUSED_SECONDS = 60.0
_REFUSALS = (400, 403, 422)


class AgentReconciler:
    """Brings what is there to what each DLAgent asks for."""

    def __init__(
        self,
        reader: ClusterReader,
        writer: ClusterWriter,
        logs: BuildLogs,
        inference: Inference,
        views: ScalingViews,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._gatherer = Gatherer(reader, logs, inference, views, settings, writer)
        self._applier = Applier(reader, writer, settings)
        self._writer = writer
        self._clock = clock
        self._settings = settings

    async def reconcile(self, key: Key) -> float | None:
        """One visit; seconds until the next, None to wait for an event.

        Raises:
            ClusterError: the cluster did not answer or was not able to; try again with back-off.
        """
        obj = self._reader.get(KIND, key.namespace, key.name)
        if obj is None or observe.is_deleting(obj):
            # What the agent owned is collected by Kubernetes; the store stays.
            self._applier.forget(key)
            return None
        try:
            return await self._visit(obj)
        except AgentRefused as refused:
            generation = obj["metadata"].get("generation", 0)
            await self._say(
                obj,
                unusable_status(
                    parse_status(obj.get("status")),
                    generation,
                    refused.reason,
                    str(refused),
                    self._clock.now(),
                ),
            )
            return None
        except ClusterError as error:
            if not error.conflict:
                raise
            log.debug("conflict: %s", error)
            return _CONFLICT_SECONDS

    async def _visit(self, obj: Object) -> float | None:
        agent = await self._gatherer.parse(obj)
        now = self._clock.now()
        seen = await self._gatherer.gather(obj, agent, now)
        plan = decide(seen, now)
        for action in (*plan.actions, *plan.deletions):
            log.debug("plan: %s: %s", type(action).__name__, action.why)
        try:
            await self._applier.carry_out(obj, agent, plan)
        except ClusterError as error:
            if error.status not in _REFUSALS:
                raise
            log.warning("a write was refused: %s", error)
            taken = isinstance(error, NameTakenError)
            said = str(error) if taken else f"The apiserver refused: {error}"
            await self._say(obj, refused_status(seen.status, plan.status, said, now))
            return _REFUSED_SECONDS
        return await self._clear(obj, agent, plan)

    async def _clear(self, obj: Object, agent: Agent, plan: Plan) -> float | None:
        try:
            await self._applier.clear(agent, plan)
        except ClusterError as error:
            if error.status not in _REFUSALS:
                raise
            # No condition: the plan's status stands, and the two would replace each other for ever.
            said = f"The apiserver refused a deletion: {error}"
            await self._writer.emit(obj, "Warning", Reason.WRITE_REFUSED, said)
            return min(_REFUSED_SECONDS, plan.requeue_after or _REFUSED_SECONDS)
        return plan.requeue_after

    async def _say(self, obj: Object, status: DLAgentStatus) -> None:
        """Nothing can be done for this agent: say why, and leave alone what serves."""
        if await self._applier.write_status(obj, status):
            for event in decide_events(parse_status(obj.get("status")), status):
                await self._writer.emit(obj, event.type, event.reason, event.message)
