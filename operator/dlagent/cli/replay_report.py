"""What `dlagent replay` prints: a line for each run, a line for each policy, and remarks."""

import math
from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table

from dlagent.bench.words import milliseconds
from dlagent.replay.compare import Run, Setup
from dlagent.replay.rows import Row
from dlagent.replay.summary import Summary, against_baselines, summarise

_WIDEST = 400  # characters
_SPREAD = ("attained", "replica-hours", "cost")  # columns that show the least and the most

_Column = tuple[str, Callable[[Row], float | None], Callable[[float], str]]


def print_report(console: Console, setup: Setup, runs: Sequence[Run]) -> None:
    """Runs must be in order; with one seed a run is its policy, and is not printed twice."""
    summaries = summarise(runs)
    if len(setup.seeds) > 1:
        _print(console, _runs_table(runs))
    _print(console, _policies_table(setup, summaries))
    for remark in _remarks(runs, summaries):
        console.print(remark, highlight=False, soft_wrap=True)


def _print(console: Console, table: Table) -> None:
    """Figures are neither cut nor broken where the terminal is narrow: its own lines wrap."""
    needed = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
    console.width = max(console.width, needed)
    console.print(table, crop=False)


def _percent(share: float) -> str:
    """Not rounded up to an objective that was not kept, nor to 100 %."""
    return f"{math.floor(share * 1e5 + 1e-6) / 1e3:.3f} %"


def _latency(value_ms: float) -> str:
    return milliseconds(value_ms / 1000) if math.isfinite(value_ms) else "never"


def _seconds(value: float) -> str:
    return f"{value:.0f} s"


_COLUMNS: tuple[_Column, ...] = (
    ("attained", lambda row: row.attained, _percent),
    ("p50", lambda row: row.p50_ms, _latency),
    ("p99", lambda row: row.p99_ms, _latency),
    ("replica-hours", lambda row: row.replica_hours, lambda value: f"{value:,.2f}"),
    ("cost", lambda row: row.cost_ratio, lambda value: f"{value:.3f}"),
    ("changes/h", lambda row: row.changes_per_hour, lambda value: f"{value:.1f}"),
    ("violated", lambda row: row.longest_violation_s, _seconds),
)


def _runs_table(runs: Sequence[Run]) -> Table:
    table = _table("Each run", "policy", "seed", "requests", *(name for name, _, _ in _COLUMNS))
    for run in runs:
        figures = (_shown(show, value(run.row)) for _, value, show in _COLUMNS)
        table.add_row(run.choice.name, str(run.row.seed), f"{run.row.requests:,}", *figures)
    return table


def _policies_table(setup: Setup, summaries: Sequence[Summary]) -> Table:
    threshold = milliseconds(setup.manifest.threshold_seconds)
    seeds = f", {len(setup.seeds)} seeds: mean (least to most)" if len(setup.seeds) > 1 else ""
    title = f"{setup.manifest.objective * 100:g} % within {threshold}{seeds}"
    table = _table(title, "", "policy", *(name for name, _, _ in _COLUMNS))
    for summary in summaries:
        kept = summary.point.attained >= setup.manifest.objective
        figures = [_over_seeds(summary.rows, column) for column in _COLUMNS]
        mark = "*" if summary.on_frontier else ""
        table.add_row(mark, summary.choice.name, *figures, style=None if kept else "dim")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        justify: JustifyMethod = "left" if name in ("", "policy") else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    return table


def _shown(show: Callable[[float], str], value: float | None) -> str:
    return "-" if value is None else show(value)


def _over_seeds(rows: Sequence[Row], column: _Column) -> str:
    name, value, show = column
    values = [found for row in rows if (found := value(row)) is not None]
    if not values:
        return "-"
    mean = show(sum(values) / len(values))
    least, most = show(min(values)), show(max(values))
    spread = name in _SPREAD and least != most
    return f"{mean} ({least} to {most})" if spread else mean


def _remarks(runs: Sequence[Run], summaries: Sequence[Summary]) -> list[str]:
    remarks = []
    if any(each.on_frontier for each in summaries):
        remarks.append(
            "* on the frontier of its kind: nothing of it, nor a mixture of two, attains as much "
            "for less."
        )
    compared = against_baselines(summaries)
    if compared is not None:
        share, ratio = compared
        remarks.append(
            f"ours attains {_percent(share)}, which no baseline here does."
            if ratio == 0
            else f"ours attains {_percent(share)} at {ratio:.3f} times what the best baselines "
            "here cost where they attain as much."
        )
    told = [f"seed {run.row.seed} {run.remark}" for run in runs if run.remark]
    if told:
        remarks.append(f"oracle: {'; '.join(told)}.")
    return remarks
