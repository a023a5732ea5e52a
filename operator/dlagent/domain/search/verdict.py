"""What is said of each candidate that was made in full, for the report."""

from dlagent.domain.artifact.report import Verdict
from dlagent.domain.gate.limit import Limit
from dlagent.domain.search.candidate import SOURCE
from dlagent.domain.search.choice import is_tie
from dlagent.domain.search.halving import Estimate

NOT_JUDGED = "the gate judged three others before it, and each more makes it harder for all"


def verdict_of(
    estimate: Estimate, chosen: Estimate | None, limit: Limit, gate: tuple[bool, str] | None
) -> tuple[Verdict, str]:
    """The verdict and why. `gate` is whether it passed and how near it was, for finalists only."""
    name = estimate.candidate.name
    if chosen is not None and name == chosen.candidate.name:
        return Verdict.CHOSEN, _why_chosen(estimate, gate)
    if gate is not None and not gate[0]:
        return Verdict.GATE_FAILED, gate[1]
    if estimate.drop > limit.at_most:
        return Verdict.DROPPED, f"loses {limit.say(estimate.drop)} on the selection examples"
    if chosen is None:
        return Verdict.DROPPED, NOT_JUDGED
    if name == SOURCE:
        return Verdict.SLOWER, f"{chosen.candidate.name} takes {chosen.time.median:.0%} of its time"
    if (
        gate is None
        and estimate.time.median < chosen.time.median
        and not is_tie(chosen.time, estimate.time)
    ):
        return Verdict.DROPPED, NOT_JUDGED
    if is_tie(estimate.time, chosen.time):
        return (
            Verdict.SLOWER,
            f"as fast as {chosen.candidate.name} within the noise of measuring, which loses less"
            " or is simpler",
        )
    return (
        Verdict.SLOWER,
        f"takes {estimate.time.median:.0%} of the source's time, {chosen.candidate.name} takes"
        f" {chosen.time.median:.0%}",
    )


def _why_chosen(estimate: Estimate, gate: tuple[bool, str] | None) -> str:
    if estimate.candidate.name == SOURCE:
        return "nothing that was tried is faster and keeps the accuracy"
    faster = f"{1 / estimate.time.median:.2g} times as fast as the source"
    return f"{faster}; {gate[1]}" if gate is not None else faster
