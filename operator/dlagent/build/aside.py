"""The candidates that a search does not make, or not further, as long as others may spare it that.

A larger network waits until the smaller one is known not to do; and what is slower than one that
was made in full, and keeps the accuracy as far as is seen, is put aside until the gate refuses that
one. Used by dlagent.build.search; what is decided is in dlagent.domain.search.sparing.
"""

from collections.abc import Mapping, Sequence

from dlagent.build.tried import Tried
from dlagent.domain.artifact.report import Verdict
from dlagent.domain.search.candidate import Candidate
from dlagent.domain.search.halving import Estimate
from dlagent.domain.search.sparing import (
    LeastTime,
    could_beat,
    least_time,
    spared_by,
    why_spared,
)
from dlagent.domain.search.verdict import NOT_JUDGED


class Aside:
    """Those of one search. `tried` is what it knows.

    `chosen` is who serves if nothing else is made, None while nobody was judged or nobody may.
    """

    def __init__(self, tried: Mapping[str, Tried], max_drop: float) -> None:
        self._tried = tried
        self._max_drop = max_drop
        self._aside: list[Candidate] = []
        self.chosen: str | None = None

    def let_wait(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that may begin; a candidate of which there is a smaller one waits."""
        names = {candidate.name for candidate in candidates}
        self._aside = [c for c in candidates if c.smaller in names]
        return [c for c in candidates if c.smaller not in names]

    def put(self, candidate: Candidate) -> bool:
        """Put it aside where it cannot win against one that was made in full; whether it is so."""
        if not candidate.trained or self._spared_by(candidate) is None:
            return False
        self._aside.append(candidate)
        return True

    def take(self) -> list[Candidate]:
        """Those that are worth a try now; they are aside no more."""
        taken = [c for c in self._aside if self._is_worth_a_try(c)]
        self._aside = [c for c in self._aside if c not in taken]
        return taken

    def take_given_up(self) -> list[Candidate]:
        """Those whose smaller one was given up for others that promised more; where none of these
        will serve, they are worth a try as well.
        """
        taken = [c for c in self._aside if not self._may_come(c) and self._was_given_up(c.smaller)]
        self._aside = [c for c in self._aside if c not in taken]
        return taken

    def may_yet_beat(self, estimate: Estimate) -> bool:
        """Whether one that is aside may be made after all, and be faster."""
        coming = [candidate for candidate in self._aside if self._may_come(candidate)]
        return any(could_beat(self._least_time(candidate), estimate) for candidate in coming)

    @property
    def any_may_come(self) -> bool:
        return any(self._may_come(candidate) for candidate in self._aside)

    def conclude(self) -> None:
        """Say of all that stayed aside why, when the others are concluded."""
        for candidate in self._aside:
            tried = self._tried[candidate.name]
            begun = tried.estimate is not None
            tried.conclude(Verdict.DROPPED if begun else Verdict.NOT_TRIED, self._why(candidate))

    def _may_come(self, candidate: Candidate) -> bool:
        """Whether it may be made after all: not where all smaller ones were given up for others."""
        if candidate.name in self._estimates() or candidate.smaller is None:
            return True
        smaller = self._tried[candidate.smaller].candidate
        if smaller in self._aside:
            return self._may_come(smaller)
        return self._tried[smaller.name].in_full or self._is_unfit(smaller.name)

    def _is_worth_a_try(self, candidate: Candidate) -> bool:
        waits = candidate.name not in self._estimates()
        if waits and candidate.smaller is not None and not self._is_unfit(candidate.smaller):
            return False
        if self._spared_by(candidate) is not None:
            return False
        return could_beat(self._least_time(candidate), self._estimate(self.chosen))

    def _is_unfit(self, name: str) -> bool:
        """Whether it failed, or loses too much: a larger one may do."""
        tried = self._tried[name]
        loses = tried.estimate is not None and tried.estimate.drop > self._max_drop
        return tried.unfit or tried.refused or (tried.in_full and loses)

    def _why(self, candidate: Candidate) -> str:
        least, by = self._least_time(candidate), self._spared_by(candidate)
        chosen = self._estimate(self.chosen)
        if least is not None and by is not None:
            return why_spared(candidate, least, by)
        if chosen is not None and not could_beat(least, chosen):
            return f"not needed: it cannot be faster than {chosen.candidate.name}"
        smaller = candidate.smaller
        if smaller is None or self._is_unfit(smaller):
            return NOT_JUDGED
        before = self._tried[smaller]
        if before.candidate in self._aside:
            return self._why(before.candidate)
        if before.verdict is Verdict.NOT_TRIED:
            return f"no time was left; {smaller}, which has fewer channels, was not made in full"
        return f"not begun, as {smaller}, which has fewer channels, was given up: {before.reason}"

    def _spared_by(self, candidate: Candidate) -> Estimate | None:
        least = self._least_time(candidate)
        if least is None:
            return None
        complete = [
            tried.estimate
            for tried in self._tried.values()
            if tried.in_full and not tried.refused and tried.estimate is not None
        ]
        return spared_by(candidate, least, complete, self._max_drop)

    def _least_time(self, candidate: Candidate) -> LeastTime | None:
        planned = {name: tried.candidate for name, tried in self._tried.items()}
        return least_time(candidate, planned, self._estimates())

    def _estimates(self) -> dict[str, Estimate]:
        return {n: t.estimate for n, t in self._tried.items() if t.estimate is not None}

    def _was_given_up(self, name: str | None) -> bool:
        return name is not None and self._tried[name].verdict is Verdict.DROPPED

    def _estimate(self, name: str | None) -> Estimate | None:
        return self._tried[name].estimate if name is not None else None
