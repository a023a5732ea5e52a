"""How the launcher tells what it does: the command line draws it, tests and the demo may too."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the steps of `up` and `prefetch`; called from several threads."""

    def begin(self, step: str, message: str) -> None: ...

    def advance(self, step: str, message: str, done: float | None) -> None:
        """`done` is the finished share of the step, 0 to 1; None when it is not known."""

    def end(self, step: str) -> None: ...


class Silent:
    """Tells nothing."""

    def begin(self, step: str, message: str) -> None:
        pass

    def advance(self, step: str, message: str, done: float | None) -> None:
        pass

    def end(self, step: str) -> None:
        pass
