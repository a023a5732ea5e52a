"""The table of the benchmark `scaler`, in markdown, as a page of the docs includes it."""

import math
from collections.abc import Sequence

from benchmarks.scaler_study.figures import Interval, Result
from benchmarks.scaler_study.gaps import GAP_MINUTES, Gap

_HEAD = (
    "| case | hours | attained | replica-hours | baselines at equal attainment | ratio |"
    " 95 % interval | over the oracle |\n|---|---:|---:|---:|---:|---:|---:|---:|"
)
_NOTE = (
    "The ratio is of ours to the frontier of all baselines swept, interpolated to what ours"
    " attains: geometric means over {seeds} seeds, the same requests for both. `below`: in some"
    " seed ours attains less than the cheapest baseline, so its ratio there says nothing. `above`:"
    " more than the best baseline, whose cost is taken. No difference named: {centre}."
)
_CENTRE = "a mean load of 2 replicas, pod start 60 s, scrape 15 s, objective 99 %, tau0/alpha 2"


def table(results: Sequence[Result]) -> str:
    """One row for each case."""
    note = _NOTE.format(seeds=len(results[0].seeds), centre=_CENTRE)
    return "\n".join([_HEAD, *map(_row, results), "", note])


def gap_table(gaps: Sequence[Gap]) -> str:
    """For each case the start at which losing the metrics is worst, beside holding still."""
    lines = [
        f"Metrics lost for {GAP_MINUTES} minutes, at the start that is worst beside holding:",
        "",
        "| case | starts | minute | attained | held | scale-downs in all gaps |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for case in dict.fromkeys(gap.case for gap in gaps):
        of_case = [gap for gap in gaps if gap.case == case]
        worst = min(of_case, key=lambda gap: gap.gain)
        downs = sum(gap.scale_downs for gap in of_case)
        lines.append(
            f"| {case} | {len(of_case)} | {worst.minute} | {worst.attained:.3%} |"
            f" {worst.held:.3%} | {downs} |"
        )
    return "\n".join(lines)


def _row(result: Result) -> str:
    seeds = result.seeds
    cost = sum(each.cost for each in seeds) / len(seeds)
    baseline = sum(each.baseline_cost for each in seeds) / len(seeds)
    against = result.against_baselines
    ratio = f"{against.ratio:.3f} {result.outside}".strip()
    return (
        f"| {result.case.name} | {result.case.minutes / 60:g} | {result.attained:.3%} |"
        f" {cost:.2f} | {baseline:.2f} | {ratio} | {_interval(against)} |"
        f" {result.against_oracle.ratio:.3f} |"
    )


def _interval(interval: Interval) -> str:
    if math.isinf(interval.upper):
        return "one seed"
    return f"{interval.lower:.3f} to {interval.upper:.3f}"
