"""The measured table: how long a batch takes, by its size and by what works at once.

dlagent.domain.tuning.choice and .trials read it, and dlagent.reconcile.scaled for the scaler.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.scaling.service_time import ServiceTime, fit_service_time


@dataclass(frozen=True, order=True)
class Workers:
    """So many instances of a model, each of which computes on so many threads."""

    instances: int = 1
    threads: int = 1

    @property
    def cores(self) -> int:
        """How many of them can be busy at a time."""
        return self.instances * self.threads

    def at_least(self, other: "Workers") -> bool:
        """Whether it has no fewer instances and no fewer threads than another."""
        return self.instances >= other.instances and self.threads >= other.threads


def by_workers(tau: Sequence[TauPoint]) -> dict[Workers, tuple[TauPoint, ...]]:
    """The points of each kind of workers, smallest batch first; the fewest cores first."""
    found: dict[Workers, list[TauPoint]] = {}
    for point in tau:
        found.setdefault(Workers(point.instances, point.threads), []).append(point)
    return {
        workers: tuple(sorted(found[workers], key=lambda point: point.batch))
        for workers in sorted(found, key=lambda workers: (workers.cores, workers.instances))
    }


def plainest(tau: Sequence[TauPoint]) -> tuple[TauPoint, ...]:
    """The points of the fewest workers, which every table has and people are told of."""
    return next(iter(by_workers(tau).values()), ())


def service_time(
    tau: Sequence[TauPoint], workers: Workers, max_batch: int, delay_seconds: float = 0.0
) -> ServiceTime | None:
    """The line through what was measured of such workers; None where nothing was.

    Where their number of instances was not measured, the next larger number stands for it, which
    is not faster; where there is none, times grow in proportion to the instances, which is as if
    more of them gained nothing.
    """
    table = by_workers(tau)
    measured = sorted(known.instances for known in table if known.threads == workers.threads)
    if not measured:
        return None
    at = next((n for n in measured if n >= workers.instances), measured[-1])
    slower = max(1.0, workers.instances / at)
    points = [
        (point.batch, slower * point.milliseconds / 1000)
        for point in table[Workers(at, workers.threads)]
    ]
    return fit_service_time(points, max_batch, delay_seconds, workers.instances)
