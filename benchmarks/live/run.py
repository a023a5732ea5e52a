"""One scaler under the load: every request, and the replicas second by second."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.live.scalers import THRESHOLD_MILLISECONDS
from dlagent.bench.journal import Requests
from dlagent.bench.result import Summary, summarise
from dlagent.bench.sender import Limits, Post, Sender
from dlagent.domain.traffic.schedule import RateCurve
from dlagent_demo.kube import Json
from dlagent_demo.loaded import while_sending

_BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}


@dataclass(frozen=True)
class Look:
    """The serving pods at one moment, in seconds since the load began."""

    seconds: float
    held: int
    """Pods that a node has taken and that are not gone: nobody else has their accelerators."""
    ready: int


@dataclass(frozen=True)
class Run:
    """A load that has ended."""

    requests: Requests
    looks: list[Look]
    summary: Summary

    @property
    def replica_seconds(self) -> float:
        """For how long pods were held, added up, as the operator's cost metrics have it."""
        return sum(old.held * (new.seconds - old.seconds) for old, new in pairwise(self.looks))


def run(url: str, curve: RateCurve, pods: Callable[[], list[Json]]) -> Run:
    """Send the load to a model's URL and look at its pods until all is answered.

    Each request opens a connection, as a new client would.
    """
    post = Post(url, json.dumps(_BODY).encode(), {"Content-Type": "application/json"})
    sender = Sender(post, Limits(fresh_connections=True))
    looks: list[Look] = []
    while_sending(sender, curve, lambda: looks.append(look(pods(), sender.now())))
    requests = sender.journal.requests()
    summary = summarise(requests, THRESHOLD_MILLISECONDS / 1000, sender.sending_seconds)
    return Run(requests, looks, summary)


def look(pods: list[Json], seconds: float) -> Look:
    """Counts of the pods that the apiserver has of an agent."""
    held = [pod for pod in pods if pod["spec"].get("nodeName")]
    return Look(seconds, len(held), sum(map(_is_ready, held)))


def _is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
