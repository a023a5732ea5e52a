"""What a report means: who won, by how much, over whom.

Pure questions to a Report, shared by the picture, the page, the terminal and the status.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlagent.domain.artifact.report import CandidateReport, ClassReport, Report, Verdict
from dlagent.domain.search.candidate import SOURCE

PREFERRED_BATCH = 8
_LOWER_IS_BETTER = {"MaxAbsError"}
_MARKED_CLASSES = 3
_ORDER = {verdict: place for place, verdict in enumerate(Verdict)}


@dataclass(frozen=True)
class Speed:
    """A batch before and after: the source's time and the chosen candidate's."""

    batch: int
    before_milliseconds: float
    after_milliseconds: float

    @property
    def factor(self) -> float:
        """How many times faster the chosen candidate is."""
        return self.before_milliseconds / self.after_milliseconds


def named(report: Report, name: str) -> CandidateReport | None:
    """The candidate of that name."""
    return next((each for each in report.candidates if each.name == name), None)


def source_of(report: Report) -> CandidateReport | None:
    """The candidate that is the source itself."""
    return named(report, SOURCE)


def chosen_of(report: Report) -> CandidateReport | None:
    """The candidate that won; None where the report does not list it."""
    return named(report, report.chosen)


def lower_is_better(report: Report) -> bool:
    """Whether the metric is an error, which the source itself has none of."""
    return report.gate is not None and is_error(report.gate.metric)


def is_error(metric: str) -> bool:
    """Whether the metric is an error: less is better."""
    return metric in _LOWER_IS_BETTER


def milliseconds_at(candidate: CandidateReport, batch: int) -> float | None:
    """How long it takes for a batch of so many examples; None where that was not measured."""
    return next((t.milliseconds for t in candidate.timings if t.batch == batch), None)


def compared_batch(candidates: Sequence[CandidateReport]) -> int | None:
    """The batch that candidates are compared at: 8, else the largest that was measured."""
    measured = {timing.batch for each in candidates for timing in each.timings}
    if not measured:
        return None
    return PREFERRED_BATCH if PREFERRED_BATCH in measured else max(measured)


def speeds(report: Report) -> list[Speed]:
    """The chosen candidate against the source, at each batch that both were measured at."""
    source, chosen = source_of(report), chosen_of(report)
    if source is None or chosen is None:
        return []
    found = []
    for timing in sorted(chosen.timings, key=lambda timing: timing.batch):
        before = milliseconds_at(source, timing.batch)
        if before is not None and timing.milliseconds > 0:
            found.append(Speed(timing.batch, before, timing.milliseconds))
    return found


def speed_at(report: Report, batch: int | None) -> Speed | None:
    """The same at one batch."""
    return next((each for each in speeds(report) if each.batch == batch), None)


def ranked(candidates: Sequence[CandidateReport]) -> list[CandidateReport]:
    """All candidates: the chosen one first, then by speed; at the end those without a time."""
    batch = compared_batch(candidates)

    def place(each: CandidateReport) -> tuple[bool, bool, float, int, str]:
        time = None if batch is None else milliseconds_at(each, batch)
        return (
            each.verdict is not Verdict.CHOSEN,
            time is None,
            time or 0.0,
            _ORDER[each.verdict],
            each.name,
        )

    return sorted(candidates, key=place)


def drop_of(
    candidates: Sequence[CandidateReport], candidate: CandidateReport, error: bool
) -> float | None:
    """What it loses against the source: before the gate if it came so far, else in the selection.

    A share; where the metric is an `error`, that.
    """
    if candidate.gate is not None:
        return candidate.gate.drop
    if candidate.select_metric is None or error:
        return candidate.select_metric
    source = next((each for each in candidates if each.name == SOURCE), None)
    if source is None or source.select_metric is None:
        return None
    return source.select_metric - candidate.select_metric


def pareto_front(
    points: Iterable[tuple[float, float]], lower_is_better: bool
) -> list[tuple[float, float]]:
    """The points (milliseconds, metric) that no other point beats in both, from fast to slow."""
    front: list[tuple[float, float]] = []
    sign = 1 if lower_is_better else -1
    for time, value in sorted(points, key=lambda point: (point[0], sign * point[1])):
        if not front or sign * value < sign * front[-1][1]:
            front.append((time, value))
    return front


def worst_classes(classes: Sequence[ClassReport]) -> frozenset[int]:
    """The labels of the at most three classes that lose most of their recall, if any loses."""
    losses = sorted(
        ((each.recall_before - each.recall_after, -each.label) for each in classes), reverse=True
    )
    return frozenset(-label for loss, label in losses[:_MARKED_CLASSES] if loss > 0)
