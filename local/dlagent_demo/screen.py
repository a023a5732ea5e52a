"""What the demo prints: lines that stay, and, on a terminal, a live part below them.

Without a terminal (CI, a pipe) only the lines are printed. Used by every other module here.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape

REFRESH_PER_SECOND = 5
Show = Callable[[RenderableType], None]


class Screen:
    """A console with a clock that starts with the demo."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began

    def line(self, text: str, style: str = "") -> None:
        """A line with the time since the start; plain text, no markup."""
        self.console.print(
            f"[dim]{self.elapsed():6.1f} s[/dim]  {escape(text)}",
            style=style,
            highlight=False,
            soft_wrap=not self.console.is_terminal,
        )

    def command(self, text: str) -> None:
        """A command that the user could type, as it is run."""
        self.line(f"$ {text}", style="bold cyan")

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """A heading, the block's own lines, and how long the block took."""
        self.console.print()
        self.console.print(f"[bold]== {escape(title)}[/bold]", highlight=False)
        began = time.monotonic()
        yield
        self.line(f"done in {time.monotonic() - began:.1f} s", style="green")

    @contextmanager
    def live(self) -> Iterator[Show]:
        """A part that is redrawn in place; without a terminal nothing is drawn."""
        if not self.console.is_terminal:
            yield lambda _renderable: None
            return
        with Live(
            console=self.console, refresh_per_second=REFRESH_PER_SECOND, transient=True
        ) as live:
            yield lambda renderable: live.update(renderable)
