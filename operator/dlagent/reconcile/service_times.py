"""How long batches take of each agent that is scaled, learned from one of its pods at a time.

The scaler asks `service` for each agent at each tick, and calls `look` at the end of it: then the
agents that are due are looked at, once a minute each, spread over the minute by their names. What
is learned is in dlagent.domain.scaling.learning. A pod that does not answer is no data.
"""

import asyncio
import logging
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from dlagent.domain.rollout.seen import Pod
from dlagent.domain.scaling.learning import Learned, learn, service_of
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile.ports import BatchStatistics, Key

log = logging.getLogger(__name__)

_EVERY_SECONDS = 60.0
_AT_A_TIME = 16  # pods
_ROUND_SECONDS = 3.0  # of a tick; who was not looked at by then is the first at the next
_COMPLAIN_EVERY_SECONDS = 600.0


@dataclass(slots=True)
class _Agent:
    """What is known of one revision. `pod` was looked at last, `again` if it is to be once more."""

    revision: str
    prior: ServiceTime
    due: float
    learned: Learned = field(default_factory=Learned)
    pods: Sequence[Pod] = ()
    pod: str = ""
    again: bool = False


class ServiceTimes:
    """Of all agents that are scaled."""

    def __init__(self, statistics: BatchStatistics) -> None:
        self._statistics = statistics
        self._agents: dict[Key, _Agent] = {}
        self._complained: float | None = None

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all other agents."""
        for gone in self._agents.keys() - set(keys):
            del self._agents[gone]

    def service(
        self, key: Key, revision: str, prior: ServiceTime, pods: Sequence[Pod], now: float
    ) -> ServiceTime:
        """What is known at a time (Unix seconds); `pods` are all of the agent.

        Another revision, or another prior, begins anew.
        """
        agent = self._agents.get(key)
        if agent is None or (agent.revision, agent.prior) != (revision, prior):
            agent = self._agents[key] = _Agent(revision, prior, due=now)
        agent.pods = [pod for pod in pods if _answers(pod) and pod.revision == revision]
        return service_of(agent.learned, prior)

    async def look(self, now: float) -> None:
        """Look at one pod of each agent that is due."""
        due = sorted(
            ((agent.due, key) for key, agent in self._agents.items() if _is_due(agent, now)),
        )
        waiting = iter([key for _, key in due])
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await asyncio.gather(*(self._work(waiting, now) for _ in range(_AT_A_TIME)))
        except TimeoutError:
            self._complain(now, f"not all of {len(due)} pods answered in {_ROUND_SECONDS:.0f} s")

    async def _work(self, waiting: Iterator[Key], now: float) -> None:
        for key in waiting:
            agent = self._agents[key]
            pod = _next(agent)
            counts = await self._statistics.batch_counts(pod.name, pod.ip or "", now)
            agent.due = _after(key, now)
            if isinstance(counts, NoData):
                agent.pod, agent.again = pod.name, False
                self._complain(now, f"{key.namespace}/{key.name}: {counts.why}")
                continue
            # A pod is looked at twice, since only the difference tells; then it is another's turn.
            agent.again = agent.pod != pod.name or not agent.again
            agent.pod = pod.name
            several = len(agent.pods) > 1
            agent.learned = learn(agent.learned, agent.prior, counts, key.name, several)

    def _complain(self, now: float, why: str) -> None:
        """Seldom: pods come and go, and what is known stays as it is."""
        since = now - self._complained if self._complained is not None else None
        if since is None or not 0 <= since < _COMPLAIN_EVERY_SECONDS:
            self._complained = now
            log.warning("batch times are not learned from a pod (others may be alike): %s", why)


def _answers(pod: Pod) -> bool:
    return pod.ready and not pod.deleting and pod.ip is not None


def _is_due(agent: _Agent, now: float) -> bool:
    # A clock that jumped back by more than a minute leaves nobody waiting for it.
    return bool(agent.pods) and not now < agent.due <= now + _EVERY_SECONDS


def _after(key: Key, now: float) -> float:
    """The next moment of the agent's own in a minute."""
    own = zlib.crc32("/".join(key).encode()) % _EVERY_SECONDS
    return now + _EVERY_SECONDS - (now - own) % _EVERY_SECONDS


def _next(agent: _Agent) -> Pod:
    """The pod that was looked at once, else the next by name."""
    by_name = sorted(agent.pods, key=lambda pod: pod.name)
    if agent.again:
        known = next((pod for pod in by_name if pod.name == agent.pod), None)
        if known is not None:
            return known
    return next((pod for pod in by_name if pod.name > agent.pod), by_name[0])
