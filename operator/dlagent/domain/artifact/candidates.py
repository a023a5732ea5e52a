"""What the status tells of a report: the few most telling candidates, and the winner's figures.

The build puts them into its summary, which is how the operator learns of them.
"""

from collections.abc import Sequence

from dlagent.api.status import CandidateStatus
from dlagent.domain.artifact.comparison import (
    compared_batch,
    drop_of,
    is_error,
    lower_is_better,
    milliseconds_at,
    ranked,
    speed_at,
)
from dlagent.domain.artifact.engine import CPU
from dlagent.domain.artifact.report import CandidateReport, Report, Verdict
from dlagent.domain.artifact.summary import Summary
from dlagent.domain.search.candidate import SOURCE, TENSORRT

MOST_CANDIDATES = 8
_NAME_CHARACTERS = 63
_REASON_CHARACTERS = 120


def candidates_status(candidates: Sequence[CandidateReport], error: bool) -> list[CandidateStatus]:
    """At most eight candidates: the chosen one, the source, the first of each verdict, others.

    The chosen one is first; then they go by speed, those without a time last. `error`: whether the
    metric is one.
    """
    order = ranked(candidates)
    telling = [each for each in order if each.verdict is Verdict.CHOSEN or each.name == SOURCE]
    for verdict in Verdict:
        telling += [each for each in order if each.verdict is verdict][:1]
    kept = list(dict.fromkeys(each.name for each in [*telling, *order]))[:MOST_CANDIDATES]
    shown = [each for each in order if each.name in kept][:MOST_CANDIDATES]
    return [_status(candidates, each, error) for each in shown]


def with_report(summary: Summary, report: Report) -> Summary:
    """A summary that also tells what the report says of candidates and accuracy."""
    gate, speed = report.gate, speed_at(report, compared_batch(report.candidates))
    error = lower_is_better(report)
    return summary.model_copy(
        update={
            "metric": None if gate is None else _cut(gate.metric, _NAME_CHARACTERS),
            "baseline": None if gate is None else _metric(gate.before, error),
            "value": None if gate is None else _metric(gate.after, error),
            "speedup": None if speed is None else f"{speed.factor:.2f}",
            "candidates": candidates_status(report.candidates, error),
            "no_tensorrt": _why_no_tensorrt(report),
        }
    )


def _why_no_tensorrt(report: Report) -> str | None:
    """Of an agent that is served on a real accelerator, where TensorRT was not even tried."""
    target = report.request.get("target", {})
    if target.get("accelerator", CPU) == CPU or "simulated" in target:
        return None
    reasons = (c.reason for c in report.candidates if c.name == TENSORRT)
    reason = next(reasons, None)
    return None if reason is None else _cut(reason, _REASON_CHARACTERS)


def with_candidates(
    summary: Summary, candidates: Sequence[CandidateReport], metric: str
) -> Summary:
    """The summary of a build of which nothing may serve, with what was tried."""
    told = candidates_status(candidates, is_error(metric))
    return summary.model_copy(update={"metric": metric, "candidates": told})


def _status(
    candidates: Sequence[CandidateReport], each: CandidateReport, error: bool
) -> CandidateStatus:
    batch = compared_batch(candidates)
    time = None if batch is None else milliseconds_at(each, batch)
    drop = None if each.name == SOURCE else drop_of(candidates, each, error)
    return CandidateStatus(
        name=_cut(each.name, _NAME_CHARACTERS),
        precision=each.precision and _cut(each.precision, _NAME_CHARACTERS),
        verdict=each.verdict,
        batch=batch if time is not None else None,
        milliseconds=None if time is None else f"{time:.3g}",
        value=_metric(each.select_metric, error),
        drop=_metric(drop, error),
        reason=_cut(each.reason, _REASON_CHARACTERS),
    )


def _metric(value: float | None, error: bool) -> str | None:
    if value is None:
        return None
    return f"{value:.3g}" if error else f"{value:.4f}"


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
