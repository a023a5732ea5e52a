"""The part of the demo in which replicas follow the load, so that the promise is kept.

Each decision is a line, the state of the moment a live table, the whole run a table and a picture.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from dlagent.bench import words
from dlagent.bench.live import WINDOW_SECONDS, Recent
from dlagent.bench.picture import draw
from dlagent.bench.result import Percentiles, Summary, summarise, timeline
from dlagent.bench.sender import Post
from dlagent.cli.agent_client import AgentClient, encode
from dlagent.cli.bench_report import Slo
from dlagent.domain.traffic.schedule import RateCurve
from dlagent_demo.kube import Kube
from dlagent_demo.loaded import Watched, watch_under_load
from dlagent_demo.screen import Screen, Show

AGENT = "fashion-mnist-scaled"
MANIFEST = "examples/fashion_mnist/scaled.yaml"
PICTURE = Path("demo-scaling.png")
# Requests a second. One replica answers about 32 of them within the promise.
RISE, TOP, FALL, LOW = 10.0, 150.0, 170.0, 185.0
CURVE = RateCurve(((0, 16), (RISE, 16), (TOP, 75), (FALL, 75), (LOW, 16), (250, 16)))
PHASES = (
    ("quiet", 0.0, RISE),
    ("rises", RISE, TOP),
    ("at its top", TOP, FALL),
    ("falls, quiet", FALL, float("inf")),
)
_LINE_SECONDS = 20.0
_POINT_SECONDS = 2.0


@dataclass(frozen=True)
class Scaled:
    """The whole run."""

    slo: Slo
    summary: Summary

    @property
    def kept(self) -> bool:
        """Whether the share in time is the promised one."""
        share, promised = self.summary.within_slo, self.slo.objective_percent
        return share is not None and promised is not None and 100 * share >= promised

    def __str__(self) -> str:
        share = words.percentage(self.summary.within_slo)
        return f"{share} of {self.summary.due:,} requests {self.slo}"


def scale(kube: Kube, client: AgentClient, image: NDArray[Any], screen: Screen) -> Scaled:
    """Put the load on the agent, show what happens, and write the picture."""
    promise = kube.get("dlagent", AGENT)["spec"]["slo"]["latency"]
    slo = Slo(promise["thresholdMilliseconds"] / 1000, float(promise["objectivePercent"]))
    model = client.model()
    body, headers = encode(model, {model.inputs[0].name: image[np.newaxis]})
    url = f"{client.endpoint.base}/v2/models/{AGENT}/infer"
    post = Post(url, body, {**client.endpoint.headers, **headers})
    with screen.live() as show:
        view = _View(screen, show, slo)
        watched = watch_under_load(post, CURVE, lambda: kube.get("dlagent", AGENT), view.update)
    requests = watched.sender.journal.requests()
    scaled = Scaled(slo, summarise(requests, slo.seconds, CURVE.duration_seconds))
    screen.console.print(_phases(watched, slo))
    _tell(watched, scaled, screen)
    _draw(watched, scaled)
    return scaled


class _View:
    """Lines for what stays, a table for the moment."""

    def __init__(self, screen: Screen, show: Show, slo: Slo) -> None:
        self._screen = screen
        self._show = show
        self._slo = slo
        self._recent: Recent | None = None
        self._told = 0
        self._next_line = 0.0

    def update(self, watched: Watched) -> None:
        now, last = watched.sender.now(), watched.looks[-1]
        if self._recent is None:
            self._recent = Recent(watched.sender.journal)
        recent = self._recent.percentiles(now)
        for decision in watched.decisions()[self._told :]:
            self._told += 1
            self._screen.line(f"replicas {decision}", style="bold")
        if not self._screen.console.is_terminal and now >= self._next_line:
            self._next_line = now + _LINE_SECONDS
            self._screen.line(
                f"{CURVE.at(now):.0f} requests/s, {last.ready} of {last.desired} replicas ready, "
                f"{_latency(recent)}",
                style="dim",
            )
        self._show(_table(watched, recent, self._slo))


def _table(watched: Watched, recent: Percentiles, slo: Slo) -> RenderableType:
    now, last = watched.sender.now(), watched.looks[-1]
    table = Table.grid(padding=(0, 2))
    whole = CURVE.duration_seconds
    table.add_row(
        f"{words.clock(now)} of {words.clock(whole)}",
        ProgressBar(total=whole, completed=min(now, whole), width=44),
    )
    table.add_row("load", f"[bold]{CURVE.at(now):.0f}[/bold] requests/s")
    blocks = "■" * last.ready + "□" * max(0, last.desired - last.ready)
    table.add_row("replicas", f"{blocks}  {last.ready} ready, {last.desired} wanted")
    style = "red" if recent.p99 is not None and recent.p99 > slo.seconds else "green"
    table.add_row(f"last {WINDOW_SECONDS:.0f} s", f"[{style}]{_latency(recent)}[/{style}]")
    table.add_row("promised", _promise(slo))
    table.add_row("decided last", last.message)
    failures = words.failures(watched.sender.journal.failures())
    table.add_row("so far", f"{watched.sender.due:,} requests, {failures}")
    return table


def _promise(slo: Slo) -> str:
    return f"{slo.objective_percent:g} % within {words.milliseconds(slo.seconds)}"


def _latency(recent: Percentiles) -> str:
    return f"p50 {words.milliseconds(recent.p50)}, p99 {words.milliseconds(recent.p99)}"


def _phases(watched: Watched, slo: Slo) -> Table:
    """Requests and replicas while the load rose, stayed and fell."""
    table = Table(title=f"Promised: {_promise(slo)}", title_justify="left")
    columns = ("the load", "requests", "failed", "p50", "p99", "in time", "replicas ready")
    for column in columns:
        table.add_column(column, justify="right")
    everything = watched.sender.journal.requests()
    for name, first, last in PHASES:
        found = summarise(everything.due_within(first, last), slo.seconds, 1.0)
        ready = [look.ready for look in watched.looks if first <= look.seconds < last]
        table.add_row(
            name,
            f"{found.due:,}",
            str(found.failed),
            words.milliseconds(found.latency.p50),
            words.milliseconds(found.latency.p99),
            words.percentage(found.within_slo),
            f"{min(ready)} to {max(ready)}" if ready else "-",
        )
    return table


def _tell(watched: Watched, scaled: Scaled, screen: Screen) -> None:
    screen.line(str(scaled), style="bold green" if scaled.kept else "bold red")
    most = max(look.ready for look in watched.looks)
    used, always = watched.replica_seconds(), most * watched.looks[-1].seconds
    screen.line(
        f"{used:,.0f} replica-seconds; {most} replicas all the time would have been {always:,.0f}"
    )
    screen.line(f"the picture: {PICTURE.absolute()}")


def _draw(watched: Watched, scaled: Scaled) -> None:
    requests = watched.sender.journal.requests()
    outcome = "so that the promise is kept" if scaled.kept else "and the promise was missed"
    draw(
        PICTURE,
        f"Replicas follow the load, {outcome}",
        timeline(requests, scaled.slo.seconds, _POINT_SECONDS),
        scaled.slo.seconds,
        f"{scaled}, {words.failures(scaled.summary.failures)}. A replica is a simulated "
        "accelerator: a batch takes 40 ms + 20 ms a request.",
        [(look.seconds, look.ready, look.desired) for look in watched.looks],
        [(decision.seconds, str(decision)) for decision in watched.decisions()],
    )
