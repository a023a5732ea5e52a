"""What an agent's replicas cost: their time, that of their accelerators, and its price.

Called at each tick by dlagent.reconcile.scaling. Prices are an hour's, in whatever currency the
operator's settings name; an unknown price is None, never zero.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dlagent.domain.scaling.signals import PodSeen, Supply

_SECONDS_AN_HOUR = 3600.0
_MISSED_TICKS = 3  # a longer pause is a clock that was put forward, or nobody knows what ran


@dataclass(frozen=True, slots=True)
class PriceTable:
    """`replica`: of a replica without its accelerators. `accelerators`: of one, by resource."""

    replica: float
    accelerators: Mapping[str, float]

    def of_replica(self, resource: str | None, count: int) -> float | None:
        """Of a replica that has so many accelerators; None where theirs is not known."""
        if resource is None:
            return self.replica
        one = self.accelerators.get(resource)
        return None if one is None else self.replica + count * one


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used since the counting began; seconds are summed over replicas, accelerators."""

    replica_seconds: float = 0.0
    accelerator_seconds: float = 0.0
    cost: float = 0.0


def used(
    before: Usage,
    pods: Iterable[PodSeen],
    accelerators: int,
    price: float | None,
    elapsed_seconds: float,
    tick_seconds: float,
) -> Usage:
    """The usage with what the pods that are there had since the tick before.

    A pod counts from when a node has taken it until it is gone, whether it answers or not.
    `accelerators` and `price` are of one replica.
    """
    elapsed = min(max(0.0, elapsed_seconds), _MISSED_TICKS * tick_seconds)
    replicas = sum(pod.supply is not Supply.UNSCHEDULABLE for pod in pods)
    seconds = elapsed * replicas
    return Usage(
        before.replica_seconds + seconds,
        before.accelerator_seconds + accelerators * seconds,
        before.cost + (price or 0.0) * seconds / _SECONDS_AN_HOUR,
    )


def price_per_thousand(cost: float, requests: float) -> float | None:
    """The price of 1,000 requests; None where none came, which is no price at all."""
    return 1000 * cost / requests if requests > 0 else None
