"""One look at an agent: of its samples and pods, the signals and what was answered since the last.

Live (dlagent.reconcile.scaling) and in a replay (dlagent.replay.ours) it is this function that
stands between what Prometheus has and `decide`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dlagent.domain.scaling.ledger import Entry, Ledger, account
from dlagent.domain.scaling.samples import PodSamples
from dlagent.domain.scaling.signals import PodSeen, Signals, signals


def look(
    ledger: Ledger,
    samples: Mapping[str, PodSamples],
    pods: Sequence[PodSeen],
    replicas: int,
    now: float,
    interval_seconds: float,
    threshold_seconds: float,
    cached: bool = False,
) -> tuple[Ledger, Entry, Signals]:
    """The books after this look, what is new in them, and the signals with it.

    The arguments are those of `signals` and `account`.
    """
    seen = signals(samples, pods, replicas, now, interval_seconds, cached)
    ledger, new = account(ledger, samples, pods, threshold_seconds)
    return ledger, new, replace(seen, requests=new.requests, missed=new.requests - new.good)
