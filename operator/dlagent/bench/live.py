"""What `dlagent bench` shows while it runs: a view that is redrawn, or lines without a terminal.

It is drawn by the thread that sends, so it is drawn rarely and kept small: a millisecond or two
each time is what the load can bear.
"""

import asyncio
from collections import deque
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from dlagent.bench import words
from dlagent.bench.journal import Journal
from dlagent.bench.result import Percentiles, percentiles
from dlagent.bench.sender import Sender
from dlagent.domain.traffic.schedule import RateCurve

WINDOW_SECONDS = 5.0
_REDRAW_SECONDS, _LINE_SECONDS = 0.5, 5.0


class View:
    """Follows a sender until it has ended."""

    def __init__(
        self,
        console: Console,
        sender: Sender,
        curve: RateCurve,
        slo_seconds: float | None,
        note: str | None,
    ) -> None:
        self._console = console
        self._sender = sender
        self._curve = curve
        self._slo_seconds = slo_seconds
        self._note = note
        self._recent = Recent(sender.journal)

    async def follow(self, sending: "asyncio.Task[None]") -> None:
        """Show how it goes, again and again."""
        terminal = self._console.is_terminal
        live = Live(console=self._console, auto_refresh=False, transient=True) if terminal else None
        around: AbstractContextManager[object] = live or nullcontext()
        with around:
            while not sending.done():
                await asyncio.wait({sending}, timeout=_REDRAW_SECONDS if live else _LINE_SECONDS)
                recent = self._recent.percentiles(self._sender.now())
                if live:
                    live.update(self._table(recent), refresh=True)
                elif not sending.done():
                    self._console.print(self._line(recent), highlight=False, soft_wrap=True)

    def _line(self, recent: Percentiles) -> str:
        now = self._sender.now()
        return (
            f"{words.clock(now)} of {words.clock(self._curve.duration_seconds)}  "
            f"{self._curve.at(now):.1f}/s due  {self._sender.in_flight} in flight  "
            f"p50 {words.milliseconds(recent.p50)}  p99 {words.milliseconds(recent.p99)}  "
            f"{self._failures()}"
        )

    def _table(self, recent: Percentiles) -> RenderableType:
        now, whole = self._sender.now(), self._curve.duration_seconds
        table = Table.grid(padding=(0, 2))
        table.add_row(
            f"{words.clock(now)} of {words.clock(whole)}",
            ProgressBar(total=whole, completed=min(now, whole), width=44),
        )
        table.add_row("load", f"[bold]{self._curve.at(now):.1f}[/bold] requests/s due")
        table.add_row("in flight", f"{self._sender.in_flight}")
        table.add_row(f"last {WINDOW_SECONDS:.0f} s", self._latencies(recent))
        table.add_row("so far", f"{self._sender.due:,} requests, {self._failures()}")
        if self._note:
            table.add_row("", f"[dim]{self._note}[/dim]")
        return table

    def _latencies(self, recent: Percentiles) -> str:
        shown = f"p50 {words.milliseconds(recent.p50)}  p99 {words.milliseconds(recent.p99)}"
        if self._slo_seconds is None or recent.p99 is None:
            return shown
        style = "red" if recent.p99 > self._slo_seconds else "green"
        return f"[{style}]{shown}[/{style}]  promised {words.milliseconds(self._slo_seconds)}"

    def _failures(self) -> str:
        return words.failures(self._sender.journal.failures())


class Recent:
    """The requests of a journal that ended in the last seconds."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])  # when it had how many

    def percentiles(self, now: float) -> Percentiles:
        """Of those that were answered since about WINDOW_SECONDS before `now`."""
        while len(self._marks) > 1 and self._marks[1][0] <= now - WINDOW_SECONDS:
            self._marks.popleft()
        first = self._marks[0][1]
        self._marks.append((now, len(self._journal)))
        return percentiles(self._journal.requests(first))
