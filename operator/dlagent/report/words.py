"""Figures of a report as people read them; in the picture, the page and the terminal.

Names, labels and reasons come from others: `plain` takes out what a terminal or a renderer would
take for an order.
"""

from decimal import Decimal

from dlagent.domain.artifact.comparison import (
    Speed,
    chosen_of,
    compared_batch,
    lower_is_better,
    speed_at,
)
from dlagent.domain.artifact.report import CandidateReport, GateResult, Report, Verdict
from dlagent.domain.scaling.service_time import fit_service_time
from dlagent.domain.search.candidate import SOURCE
from dlagent.domain.tuning.table import plainest

VERDICTS = {
    Verdict.CHOSEN: "chosen",
    Verdict.SLOWER: "slower",
    Verdict.GATE_FAILED: "loses too much",
    Verdict.DROPPED: "given up early",
    Verdict.FAILED: "failed",
    Verdict.NOT_TRIED: "not tried",
    Verdict.NOT_APPLICABLE: "does not apply",
}
NONE = "-"


def plain(text: str, limit: int | None = None) -> str:
    """One line of printable characters, cut to `limit` of them."""
    kept = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return kept if limit is None or len(kept) <= limit else kept[: limit - 1] + "…"


def milliseconds(value: float | None) -> str:
    """`0.844 ms`, `12.3 ms`, `2160 ms`: three digits that count, and all before the point."""
    if value is None:
        return NONE
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def seconds(value: float | None) -> str:
    """`0.4 s`, `75 s`, `12 min 5 s`."""
    if value is None:
        return NONE
    if value < 100:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def size(value: int | None) -> str:
    """`2.67 MB`; powers of ten, as disks are sold."""
    if value is None:
        return NONE
    amount = float(value)
    for unit in ("bytes", "kB", "MB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"


def times(factor: float) -> str:
    """`2.62x`, `1040x`."""
    return f"{factor:.0f}x" if factor >= 100 else f"{factor:.3g}x"


def metric(report: Report, value: float | None) -> str:
    """`90.17 %`, or `0.0031` where the metric is an error."""
    if value is None:
        return NONE
    return f"{value:.3g}" if lower_is_better(report) else f"{value * 100:.2f} %"


def drop(report: Report, value: float | None) -> str:
    """`0.40 points`, `-0.12 points` where it gained; or the error."""
    if value is None:
        return NONE
    return f"{value:.3g}" if lower_is_better(report) else f"{_points(value)} points"


def gate_limit(report: Report) -> str:
    """What the gate asks for: `at most 1 point below the source`."""
    if report.gate is None:
        return "no gate"
    if lower_is_better(report):
        return f"an error of at most {report.gate.limit:.3g}"
    return f"at most {_count(report.gate.limit)} below the source"


def bound(report: Report, result: GateResult) -> str:
    """How sure the drop is: `a loss below 0.80 points with 95 % confidence`."""
    if result.upper_bound is None:
        return f"{drop(report, result.drop)} at most on the gate's examples"
    text = f"a loss below {drop(report, result.upper_bound)}"
    return text if result.level is None else f"{text} with {result.level * 100:.4g} % confidence"


def headline(report: Report) -> str:
    """What was chosen and why, in one sentence."""
    name, chosen = plain(report.chosen, 60), chosen_of(report)
    if report.chosen == SOURCE:
        reason = plain(chosen.reason, 300).rstrip(".") if chosen is not None else ""
        return f"The source itself, {name}, was chosen{f': {reason}' if reason else ''}."
    speed = speed_at(report, compared_batch(report.candidates))
    parts = [] if speed is None else [_faster(speed)]
    if chosen is not None and chosen.gate is not None:
        parts.append(_loss(report, chosen.gate))
    return f"{name} {' and '.join(parts) or 'was chosen'}."


def replay_options(report: Report) -> str:
    """`--tau 0.05ms,0.1ms --max-batch 32`: the line through the times of the fewest workers.

    Up to the largest batch that was measured; empty where nothing was.
    """
    points = [(point.batch, point.milliseconds / 1000) for point in plainest(report.tau)]
    largest = max((batch for batch, _ in points), default=1)
    line = fit_service_time(points, largest if report.batched else 1)
    if line is None:
        return ""
    tau = f"{_duration(line.base_seconds)},{_duration(line.per_item_seconds)}"
    return f"--tau {tau} --max-batch {line.max_batch}"


def effort(candidate: CandidateReport) -> str:
    """What its figures are worth, where they are not of the full work."""
    if candidate.effort is None or candidate.effort >= 1:
        return ""
    return f"estimated with {candidate.effort * 100:.2g} % of the work"


def _duration(seconds: float) -> str:
    """`0.844ms`, as options take it: three digits that count, none of them an exponent."""
    return f"{Decimal(f'{seconds * 1000:.3g}'):f}ms"


def _faster(speed: Speed) -> str:
    return (
        f"is {times(speed.factor)} as fast as the source"
        f" ({milliseconds(speed.after_milliseconds)} against"
        f" {milliseconds(speed.before_milliseconds)} for a batch of {speed.batch})"
    )


def _loss(report: Report, result: GateResult) -> str:
    if report.gate is None:
        return f"loses {drop(report, result.drop)}"
    if lower_is_better(report):
        return (
            f"has an error of at most {result.after:.3g}, where {report.gate.limit:.3g} is allowed"
        )
    change = "gains" if result.drop < 0 else "loses"
    return (
        f"{change} {_points(abs(result.drop))} points of {plain(report.gate.metric, 30)}:"
        f" {bound(report, result)}, where {_allowed(report.gate.limit)} allowed"
    )


def _points(share: float) -> str:
    text = f"{share * 100:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _count(share: float) -> str:
    points = f"{share * 100:g}"
    return f"{points} point" if points == "1" else f"{points} points"


def _allowed(limit: float) -> str:
    count = _count(limit)
    return f"{count} {'is' if count == '1 point' else 'are'}"
