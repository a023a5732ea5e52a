"""The view follows a load: drawn on a terminal, in lines without one."""

import asyncio
import io
from collections.abc import Callable

import pytest
from rich.console import Console

from dlagent.bench import live
from dlagent.bench.journal import ANSWERED, Journal
from dlagent.bench.live import Recent, View
from dlagent.bench.sender import Limits, Post, Sender
from dlagent.domain.traffic.shapes import constant


@pytest.mark.parametrize("terminal", [True, False])
async def test_load_latency_and_failures_are_shown(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(live, "_REDRAW_SECONDS", 0.01)
    monkeypatch.setattr(live, "_LINE_SECONDS", 0.01)
    shown_once = asyncio.Event()
    text = _Text(shown_once.set)
    console = Console(file=text, force_terminal=terminal, width=100, color_system=None)
    sender = Sender(Post("http://127.0.0.1:9", b""), Limits())
    sender.journal.add(0.0, 0.0, 0.034, ANSWERED)
    sender.journal.add(0.0, 0.0, 0.0, "HTTP 503")
    view = View(console, sender, constant(40, 60), 0.02, "accelerator: simulated")

    async def until_shown() -> None:
        async with asyncio.timeout(10):
            await shown_once.wait()

    await view.follow(asyncio.create_task(until_shown()))
    shown = text.getvalue()
    for said in ("of 1:00", "40.0", "p99 34 ms", "1 failed (1 HTTP 503)"):
        assert said in shown
    assert terminal == ("promised 20 ms" in shown)
    assert terminal == ("accelerator: simulated" in shown)


class _Text(io.StringIO):
    """Calls `told` once failures were written, which are shown last."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def write(self, text: str) -> int:
        if "1 failed" in text:
            self._told()
        return super().write(text)


def test_recent_forgets_what_ended_before_its_window() -> None:
    journal = Journal()
    recent = Recent(journal)
    for second in range(20):
        journal.add(float(second), 0.0, float(second), ANSWERED)
        found = recent.percentiles(float(second))
    assert found.max == 19
    assert found.p50 is not None
    assert 15 <= found.p50 <= 18
    assert recent.percentiles(100.0).p50 is None
