"""What the search knows of each candidate so far, and the report that is made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlagent.domain.artifact.report import CandidateReport, GateResult, Verdict
from dlagent.domain.search.candidate import Candidate
from dlagent.domain.search.halving import Estimate
from dlagent.domain.search.timing import Rounds, as_if_beside, timings


@dataclass
class Tried:
    """One candidate; everything is None until it was made for the first time.

    `rounds` are its times, and `beside` those of the source in the same rounds. `asked` is the
    effort that it was made with last. `unfit`: it cannot be made, or surely loses too much.
    """

    candidate: Candidate
    estimate: Estimate | None = None
    metric: float | None = None
    rounds: Rounds | None = None
    beside: Rounds | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    gate: GateResult | None = None
    asked: float = 0.0
    unfit: bool = False
    seconds: float = 0.0
    verdict: Verdict = Verdict.NOT_TRIED
    reason: str = ""

    @property
    def in_full(self) -> bool:
        """Whether it was made with all effort."""
        return self.asked >= 1

    @property
    def refused(self) -> bool:
        """Whether the gate did not let it pass."""
        return self.gate is not None and not self.gate.passed

    def conclude(self, verdict: Verdict, reason: str) -> None:
        self.verdict = verdict
        self.reason = reason

    def give_up(self, verdict: Verdict, reason: str) -> None:
        """For what it is, and not for others that promise more."""
        self.unfit = True
        self.conclude(verdict, reason)

    def report(self, batches: Sequence[int], source: Rounds) -> CandidateReport:
        """`source` are the source's own times; the candidate's are told as they would be then."""
        candidate = self.candidate
        times = None
        if self.rounds is not None and self.beside is not None:
            times = as_if_beside(self.rounds, self.beside, source)
        return CandidateReport(
            name=candidate.name,
            verdict=self.verdict,
            reason=self.reason,
            optimisation=candidate.optimisation,
            precision=candidate.precision,
            base=candidate.base,
            options=candidate.options,
            notes=dict(self.notes),
            effort=self.estimate.effort if self.estimate is not None else None,
            seconds=round(self.seconds, 3),
            size_bytes=self.size_bytes,
            timings=timings(batches, times) if times is not None else [],
            select_metric=self.metric,
            gate=self.gate,
        )
