"""What `dlagent bench` tells in the end: a table, a JSON document, a picture."""

import importlib.util
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dlagent.bench import document, words
from dlagent.bench.journal import NO_RESOURCES, NOT_SENT, Requests
from dlagent.bench.result import LATE_SECONDS, Summary, summarise, timeline
from dlagent.bench.sender import Limits, Sender
from dlagent.cli.errors import CliError
from dlagent.cli.traffic import Load
from dlagent.domain.traffic.schedule import Arrivals, RateCurve

_POINTS_DRAWN = 600  # more of them in a picture would be noise


@dataclass(frozen=True)
class Slo:
    """The latency promise; the objective is the share that must keep it, where that is known."""

    seconds: float
    objective_percent: float | None

    def __str__(self) -> str:
        within = f"within {words.milliseconds(self.seconds)}"
        if self.objective_percent is None:
            return within
        return f"{within} (promised: {self.objective_percent:g} %)"


@dataclass(frozen=True)
class Asked:
    """What the command line asked for."""

    agent: str
    url: str
    load: Load
    curve: RateCurve
    arrivals: Arrivals
    seed: int
    limits: Limits
    slo: Slo | None
    simulated: str | None
    began: datetime

    @property
    def note(self) -> str | None:
        """What must be said beside every figure: that it comes from no real accelerator."""
        return f"accelerator: {self.simulated}" if self.simulated else None


def check_outputs(json_file: Path | None, plot: Path | None) -> None:
    """Before the load, not after it: whether its results can be written.

    Raises:
        CliError: a folder or a library is missing, or the picture has another ending.
    """
    for option, file in (("--json", json_file), ("--plot", plot)):
        if file is not None:
            _check_writable(option, file)
    if plot is not None and plot.suffix.lower() != ".png":
        raise CliError(f"--plot {plot}: pictures are written as .png")
    if plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise CliError("--plot needs matplotlib: pip install '.[bench]'")


def _check_writable(option: str, file: Path) -> None:
    if not file.absolute().parent.is_dir():
        raise CliError(f"{option} {file}: there is no folder {file.absolute().parent}")
    there = file.exists()
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise CliError(f"{option} {file} cannot be written: {error.strerror}") from error
    if not there:
        file.unlink()


def report(
    console: Console, asked: Asked, sender: Sender, json_file: Path | None, plot: Path | None
) -> int:
    """Print and write what was asked for; how many requests failed."""
    requests = sender.journal.requests()
    slo_seconds = asked.slo.seconds if asked.slo else None
    ended_early = sender.interrupted or sender.too_slow
    seconds = sender.sending_seconds if ended_early else asked.curve.duration_seconds
    summary = summarise(requests, slo_seconds, seconds)
    console.print(_table(asked, summary))
    for remark in _remarks(asked, sender, summary):
        console.print(remark, highlight=False, soft_wrap=True)
    try:
        if json_file is not None:
            made = _document(asked, sender, requests, summary)
            json_file.write_text(made.model_dump_json(indent=1) + "\n")
    finally:
        if plot is not None:
            _draw(plot, asked, requests, summary)
    return summary.failed


def _table(asked: Asked, summary: Summary) -> Table:
    table = Table(title=asked.agent, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    latency = summary.latency
    rows = {
        "requests": f"{summary.due:,}",
        "answered": f"{summary.answered:,}",
        **{f"failed: {kind}": f"{count:,}" for kind, count in summary.failures.items()},
        "offered": f"{summary.offered_per_second:,.1f}/s",
        "answered meanwhile": f"{summary.answered_per_second:,.1f}/s",
        "latency p50": words.milliseconds(latency.p50),
        "latency p95": words.milliseconds(latency.p95),
        "latency p99": words.milliseconds(latency.p99),
        "latency max": words.milliseconds(latency.max),
    }
    if asked.slo is not None:
        rows[str(asked.slo)] = words.percentage(summary.within_slo)
    rows["sent late, p99"] = words.milliseconds(summary.lateness.p99_seconds)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _remarks(asked: Asked, sender: Sender, summary: Summary) -> list[str]:
    """What a reader must know to read the figures right."""
    remarks = []
    if asked.note:
        remarks.append(f"{asked.note.capitalize()}; these are not the figures of real hardware.")
    if sender.interrupted:
        remarks.append(
            f"Stopped after {words.clock(sender.sending_seconds)}; {summary.unfinished:,} requests "
            "were under way and are neither answered nor failed."
        )
    if sender.too_slow:
        remarks.append(
            f"Given up after {words.clock(sender.sending_seconds)}, being "
            f"{words.clock(asked.limits.timeout_seconds)} behind: the rate is more than this "
            "machine can send. Lower it, or share it among machines."
        )
    if NO_RESOURCES in summary.failures:
        remarks.append(
            "This machine ran out of ports or open files, which is not the agent's failure: "
            "fewer --connections, or no --fresh-connections, need less."
        )
    if NOT_SENT in summary.failures:
        remarks.append(
            f"{summary.failures[NOT_SENT]:,} requests were not sent, because "
            f"{asked.limits.connections:,} were in flight: --connections allows more."
        )
    if not summary.lateness.kept_up:
        remarks.append(
            "The generator did not keep up: of its requests, "
            f"{summary.lateness.requests:,} were sent more than "
            f"{words.milliseconds(LATE_SECONDS)} late, at {sender.cpu_share:.0%} of a core. The "
            "latencies are partly its own: lower the rate, or share it among machines."
        )
    return remarks


def _document(
    asked: Asked, sender: Sender, requests: Requests, summary: Summary
) -> document.Document:
    ended = requests.due_seconds + requests.latency_seconds
    slo, rates = asked.slo, [rate for _, rate in asked.curve.points]
    return document.Document(
        agent=asked.agent,
        url=asked.url,
        began=asked.began,
        seconds=float(ended.max()) if ended.size else 0.0,
        interrupted=sender.interrupted,
        simulated_accelerator=asked.simulated,
        schedule=document.Schedule(
            shape=asked.load.kind,
            trace=asked.load.trace.name if asked.load.trace else None,
            low_per_second=min(rates),
            high_per_second=max(rates),
            duration_seconds=asked.curve.duration_seconds,
            arrivals=asked.arrivals,
            seed=asked.seed,
        ),
        requests=document.counts(summary),
        offered_per_second=summary.offered_per_second,
        answered_per_second=summary.answered_per_second,
        latency_seconds=document.latency(summary.latency),
        slo=document.Promise(threshold_seconds=slo.seconds, objective_percent=slo.objective_percent)
        if slo
        else None,
        within_slo_percent=document.percent(summary.within_slo),
        generator=document.Generator(
            late_p99_seconds=summary.lateness.p99_seconds,
            late_max_seconds=summary.lateness.max_seconds,
            late_requests=summary.lateness.requests,
            kept_up=summary.lateness.kept_up,
            cpu_share=sender.cpu_share,
            connections=asked.limits.connections,
            fresh_connections=asked.limits.fresh_connections,
            timeout_seconds=asked.limits.timeout_seconds,
        ),
        timeline=document.seconds(timeline(requests, slo.seconds if slo else None)),
    )


def _draw(path: Path, asked: Asked, requests: Requests, summary: Summary) -> None:
    from dlagent.bench.picture import draw  # matplotlib, of an extra that may be missing

    slo_seconds = asked.slo.seconds if asked.slo else None
    step = float(max(1, math.ceil(asked.curve.duration_seconds / _POINTS_DRAWN)))
    found = timeline(requests, slo_seconds, step)
    title = f"{asked.agent} under load" + (f" ({asked.note})" if asked.note else "")
    draw(path, title, found, slo_seconds, _line(asked, summary))


def _line(asked: Asked, summary: Summary) -> str:
    """The whole run in one line."""
    latency = summary.latency
    parts = [
        f"{summary.due:,} requests, {words.failures(summary.failures)}",
        f"p50 {words.milliseconds(latency.p50)}, p99 {words.milliseconds(latency.p99)}",
    ]
    if asked.slo is not None:
        parts.append(f"{words.percentage(summary.within_slo)} {asked.slo}")
    return "; ".join(parts)
