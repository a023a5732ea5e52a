"""What became of each request, in 18 bytes: the sender writes it, views and results read it."""

from array import array
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANSWERED = "answered"
NOT_SENT = "not sent: too many in flight"
NO_RESOURCES = "not sent: this machine has no more ports or open files"
UNFINISHED = "unfinished when stopped"


@dataclass(frozen=True)
class Requests:
    """Requests in the order in which they ended; an element of each array is one of them.

    Args:
        due_seconds: when it was due, since the load began.
        late_seconds: how much later the sender got to it.
        latency_seconds: from when it was due until it was answered, or failed.
        outcome: a place in `outcomes`, which are ANSWERED and the kinds of failure seen.
    """

    due_seconds: NDArray[np.float64]
    late_seconds: NDArray[np.float32]
    latency_seconds: NDArray[np.float32]
    outcome: NDArray[np.uint16]
    outcomes: tuple[str, ...]

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which of them were answered."""
        return np.equal(self.outcome, self.outcomes.index(ANSWERED))

    @property
    def unfinished(self) -> NDArray[np.bool_]:
        """Which of them were under way when the load was stopped: neither answered nor failed."""
        known = UNFINISHED in self.outcomes
        place = self.outcomes.index(UNFINISHED) if known else len(self.outcomes)
        return np.equal(self.outcome, place)

    def judged(self, slo_seconds: float | None) -> NDArray[np.bool_]:
        """Which of them are known to have kept the threshold or to have missed it.

        One that was under way when the load was stopped has missed it if it took longer already.
        """
        if slo_seconds is None:
            return ~self.unfinished
        return ~self.unfinished | np.greater(self.latency_seconds, slo_seconds)

    def due_within(self, first_seconds: float, last_seconds: float) -> "Requests":
        """Those that were due in [first_seconds, last_seconds)."""
        kept = (self.due_seconds >= first_seconds) & (self.due_seconds < last_seconds)
        return Requests(
            self.due_seconds[kept],
            self.late_seconds[kept],
            self.latency_seconds[kept],
            self.outcome[kept],
            self.outcomes,
        )

    def failures(self) -> dict[str, int]:
        """How many failed, by kind, the most frequent first."""
        counts = np.bincount(self.outcome, minlength=len(self.outcomes)).tolist()
        return _failures(dict(zip(self.outcomes, counts, strict=True)))


class Journal:
    """Grows by one request at a time; another thread may read it meanwhile."""

    def __init__(self) -> None:
        self._due = array("d")
        self._late = array("f")
        self._latency = array("f")
        self._outcome = array("H")
        self._places = {ANSWERED: 0}
        self._counts = Counter[str]()

    def __len__(self) -> int:
        return len(self._outcome)  # the column that is written last

    def add(
        self, due_seconds: float, late_seconds: float, latency_seconds: float, outcome: str
    ) -> None:
        """A request that ended now."""
        place = self._places.setdefault(outcome, len(self._places))
        self._counts[outcome] += 1
        self._due.append(due_seconds)
        self._late.append(late_seconds)
        self._latency.append(latency_seconds)
        self._outcome.append(place)

    def failures(self) -> dict[str, int]:
        """How many failed so far, by kind; quick, however many there are."""
        return _failures(dict(self._counts))

    def requests(self, first: int = 0) -> Requests:
        """A copy of those that ended so far, without so many of the first ones."""
        last = len(self)
        # Copied by slicing: numpy's view of a growing array would keep it from growing.
        return Requests(
            np.frombuffer(self._due[first:last], np.float64),
            np.frombuffer(self._late[first:last], np.float32),
            np.frombuffer(self._latency[first:last], np.float32),
            np.frombuffer(self._outcome[first:last], np.uint16),
            tuple(self._places),
        )


def _failures(outcomes: dict[str, int]) -> dict[str, int]:
    kinds = {k: n for k, n in outcomes.items() if n and k not in (ANSWERED, UNFINISHED)}
    return dict(sorted(kinds.items(), key=lambda kind: -kind[1]))
