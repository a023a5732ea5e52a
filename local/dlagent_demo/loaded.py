"""An agent under an open-loop load whose rate rises and falls, and what was seen of it meanwhile.

The load is sent by `dlagent bench`'s own sender in a thread; the agent is looked at once a second.
Called by `scaling`, which shows and judges it, and by the benchmark `slo_live`.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import chain, pairwise

import numpy as np

from dlagent.bench.sender import Limits, Post, Sender
from dlagent.domain.traffic.schedule import Arrivals, RateCurve, due_times
from dlagent_demo.kube import Json

_LOOK_SECONDS = 1.0
_SEED = 1


@dataclass(frozen=True)
class Look:
    """The agent at one moment, in seconds since the load began."""

    seconds: float
    ready: int
    desired: int
    message: str


@dataclass(frozen=True)
class Decision:
    """A number of replicas that differs from the one before."""

    seconds: float
    before: int
    after: int
    message: str

    def __str__(self) -> str:
        return f"{self.before} -> {self.after}: {self.message}"


@dataclass
class Watched:
    """A load and the looks so far; read while both grow."""

    sender: Sender
    curve: RateCurve
    looks: list[Look] = field(default_factory=list)

    def decisions(self) -> list[Decision]:
        """Each change of the number, with the operator's own explanation."""
        return [
            Decision(new.seconds, old.desired, new.desired, new.message)
            for old, new in pairwise(self.looks)
            if new.desired != old.desired
        ]

    def replica_seconds(self) -> float:
        """For how long replicas were ready, added up."""
        return sum(old.ready * (new.seconds - old.seconds) for old, new in pairwise(self.looks))


def look_at(agent: Json, seconds: float) -> Look:
    """What the status says of the replicas."""
    status = agent.get("status", {})
    scaling = status.get("scaling", {})
    return Look(
        seconds,
        status.get("readyReplicas", 0),
        scaling.get("desired", 0),
        scaling.get("message", ""),
    )


def watch_under_load(
    post: Post, curve: RateCurve, agent: Callable[[], Json], each: Callable[[Watched], None]
) -> Watched:
    """Send the load and look at the agent once a second until all is answered.

    Args:
        post: the request; each opens a connection, as new clients would.
        curve: how many are due.
        agent: reads the DLAgent from the cluster.
        each: called after each look.
    """
    watched = Watched(Sender(post, Limits(fresh_connections=True)), curve)

    def look() -> None:
        watched.looks.append(look_at(agent(), watched.sender.now()))
        each(watched)

    while_sending(watched.sender, curve, look)
    return watched


def while_sending(sender: Sender, curve: RateCurve, each: Callable[[], None]) -> None:
    """Send the load and call `each` once a second until it is over; always the same arrivals."""
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_send, sender, curve)
        try:
            while not sending.done():
                began = time.monotonic()
                each()
                wait([sending], max(0.0, _LOOK_SECONDS - (time.monotonic() - began)))
        finally:
            sender.stop()
    sending.result()


def _send(sender: Sender, curve: RateCurve) -> None:
    chunks = due_times(curve, Arrivals.POISSON, np.random.default_rng(_SEED))
    asyncio.run(sender.send(chain.from_iterable(chunk.tolist() for chunk in chunks)))
