"""The gate: which candidates keep the accuracy, so surely that they may serve.

A candidate passes where the one-sided upper bound of its drop is within each limit. Several
finalists are judged at once on the same examples and corrected for it by Holm. A candidate that
must be within several limits has the largest of their p-values (intersection-union test: Berger
1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24).

Called by dlagent.build.jury. Who is judged in several looks counts from the first one on, as one of
`others`: who looks at the gate's examples and then thinks of another candidate has another error
than LEVEL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dlagent.domain.gate.bootstrap import PairedClasses
from dlagent.domain.gate.evidence import Evidence, LargestError, NotFinite
from dlagent.domain.gate.holm import Held, holm
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.paired import PairedCounts

Judged = PairedCounts | PairedClasses | LargestError

LEVEL = 0.05  # the chance that any candidate passes that lost more than is allowed

_ROUNDING = 1e-12  # of shares: 11 of 1,000 lost are no more than 1.1 / 100


class Verdict(StrEnum):
    """From bad to good: a candidate has the first of those of its limits."""

    NOT_FINITE = "NotFinite"
    DROP_TOO_LARGE = "DropTooLarge"
    TOO_FEW_EXAMPLES = "TooFewExamples"
    PASSED = "Passed"


@dataclass(frozen=True)
class Finalist:
    """A candidate and its evidence, one for each limit in the same order."""

    name: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Figures:
    """Of the metric before and after, and how much was lost: seen, and at most."""

    before: float
    after: float
    drop: float
    upper_bound: float


@dataclass(frozen=True)
class LimitResult:
    """One limit of one finalist.

    `figures` has the upper bound at `level`; it is None where outputs are not finite. `needed` is
    how many examples the gate would need, where they are too few and a number would do.
    """

    limit: Limit
    p_value: float
    level: float
    verdict: Verdict
    reason: str
    figures: Figures | None = None
    needed: int | None = None


@dataclass(frozen=True)
class FinalistResult:
    name: str
    verdict: Verdict
    reason: str
    limits: tuple[LimitResult, ...]

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASSED


@dataclass(frozen=True)
class GateDecision:
    """Of each finalist, in the order given."""

    finalists: tuple[FinalistResult, ...]

    @property
    def passed(self) -> tuple[FinalistResult, ...]:
        return tuple(finalist for finalist in self.finalists if finalist.passed)


def decide_gate(
    limits: Sequence[Limit], finalists: Sequence[Finalist], others: int = 0
) -> GateDecision:
    """Judge all finalists at once. `others` have failed before, or may have to be judged later.

    Raises:
        ValueError: no limit, or evidence that is not one for each.
    """
    if not limits or any(len(finalist.evidence) != len(limits) for finalist in finalists):
        raise ValueError("a gate has limits, and a finalist has evidence for each")
    p_values = [
        [_p_value(limit, evidence) for limit, evidence in zip(limits, one.evidence, strict=True)]
        for one in finalists
    ]
    held = holm([max(of_one) for of_one in p_values], LEVEL, others)
    return GateDecision(
        tuple(
            _result(limits, one, of_one, own)
            for one, of_one, own in zip(finalists, p_values, held, strict=True)
        )
    )


def _p_value(limit: Limit, evidence: Evidence) -> float:
    return 1.0 if isinstance(evidence, NotFinite) else evidence.p_value(limit.at_most)


def _result(
    limits: Sequence[Limit], finalist: Finalist, p_values: Sequence[float], held: Held
) -> FinalistResult:
    judged = tuple(
        _judge(limit, evidence, p_value, held.level)
        for limit, evidence, p_value in zip(limits, finalist.evidence, p_values, strict=True)
    )
    worst = next(result for verdict in Verdict for result in judged if result.verdict is verdict)
    reason = "; ".join(r.reason for r in judged) if held.passed else worst.reason
    return FinalistResult(finalist.name, worst.verdict, reason, judged)


def _judge(limit: Limit, evidence: Evidence, p_value: float, level: float) -> LimitResult:
    if isinstance(evidence, NotFinite):
        reason = f"NaN or infinity for {evidence.affected:,} of {evidence.examples:,} examples"
        return LimitResult(limit, p_value, level, Verdict.NOT_FINITE, reason)
    bound = evidence.upper_bound(level)
    if p_value <= level:
        # What is computed may be above the exact bound by its tolerance.
        bound = min(bound, limit.at_most)
    verdict = _verdict(limit, evidence, p_value, level)
    needed = _needed(limit, evidence, level) if verdict is Verdict.TOO_FEW_EXAMPLES else None
    reason = _reason(limit, evidence, verdict, bound, level, needed)
    figures = Figures(evidence.before, evidence.after, evidence.drop, bound)
    return LimitResult(limit, p_value, level, verdict, reason, figures, needed)


def _verdict(limit: Limit, evidence: Judged, p_value: float, level: float) -> Verdict:
    if p_value <= level:
        return Verdict.PASSED
    if isinstance(evidence, LargestError):
        return Verdict.DROP_TOO_LARGE
    fewest = evidence.apriori_needed(limit.at_most, level)
    nothing_could_pass = fewest is not None and evidence.examples < fewest
    if evidence.drop > limit.at_most + _ROUNDING and not nothing_could_pass:
        return Verdict.DROP_TOO_LARGE
    return Verdict.TOO_FEW_EXAMPLES


def _needed(limit: Limit, evidence: Judged, level: float) -> int | None:
    """How many examples would do: for any candidate, and at the rates of this one."""
    if isinstance(evidence, LargestError):
        return None
    fewest = evidence.apriori_needed(limit.at_most, level)
    at_these_rates = evidence.more_needed(limit.at_most, level)
    if at_these_rates is None:
        return fewest if fewest is not None and fewest > evidence.examples else None
    return max(fewest or 0, at_these_rates, evidence.examples + 1)


def _reason(
    limit: Limit, evidence: Judged, verdict: Verdict, bound: float, level: float, needed: int | None
) -> str:
    if isinstance(evidence, LargestError):
        return f"{limit.metric} {evidence.after:.3g} (limit {limit.at_most:g})"
    moved = f"{100 * abs(evidence.drop):.3g} points {'won' if evidence.drop < 0 else 'lost'}"
    seen = (
        f"{limit.metric} {100 * evidence.before:.4g} % before and {100 * evidence.after:.4g} %"
        f" after, {moved}"
    )
    allowed = f"(limit {100 * limit.at_most:.3g})"
    if verdict is Verdict.DROP_TOO_LARGE:
        return f"{seen} {allowed}"
    sure = f"with {100 * (1 - level):.3g} % confidence at most {100 * bound:.4g} lost {allowed}"
    if verdict is Verdict.PASSED:
        return f"{seen}, {sure}"
    few = f"{seen}, {sure}: {evidence.examples:,} examples are too few to tell"
    if needed is None:
        return f"{few}, and no number tells so small a difference from the limit"
    times = needed / evidence.examples
    many = f", {times:.2g} times as many" if times >= 1.1 else ""
    return f"{few}, about {_rounded_up(needed):,} are needed{many}"


def _rounded_up(number: int) -> int:
    """To two digits: more would be said than is known."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return -(-number // unit) * unit
