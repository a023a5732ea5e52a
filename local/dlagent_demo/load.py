"""A steady load with honest latencies: requests are sent at scheduled times.

A request's latency counts from the time it was due, so that a stall is not hidden by the requests
that it held back. Each uses a connection of its own, as a new client would, and none is tried
again. Used by the roll-out of the demo and by the benchmarks.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Request:
    """One request: when it was due (seconds since the load began), and what became of it."""

    due_seconds: float
    latency_milliseconds: float
    error: str | None


@dataclass(frozen=True)
class Window:
    """The requests that were due between two times."""

    requests: int
    failures: int
    p50_milliseconds: float
    p99_milliseconds: float


@dataclass
class Load:
    """All requests so far; read while it grows."""

    began: float = field(default_factory=time.monotonic)
    requests: list[Request] = field(default_factory=list)

    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.began

    def failures(self) -> list[Request]:
        """The requests without a right answer."""
        return [request for request in list(self.requests) if request.error]

    def window(self, first: float, last: float) -> Window:
        """What became of the requests due in [first, last), in seconds since the load began."""
        chosen = [r for r in list(self.requests) if first <= r.due_seconds < last]
        answered = [r.latency_milliseconds for r in chosen if not r.error]
        p50, p99 = np.percentile(answered, [50, 99]) if answered else (np.nan, np.nan)
        return Window(len(chosen), len(chosen) - len(answered), float(p50), float(p99))


@contextmanager
def steady_load(ask: Callable[[], None], per_second: float, threads: int = 4) -> Iterator[Load]:
    """Call `ask` at a fixed rate while the block runs; an exception of it is a failed request.

    Args:
        ask: one request; raises where the answer is missing or wrong.
        per_second: how many requests are due each second.
        threads: how many requests may be under way at a time.
    """
    load, stop, turn = Load(), threading.Event(), threading.Lock()
    next_due = 0.0

    def run() -> None:
        nonlocal next_due
        while True:
            with turn:
                due = next_due
                next_due += 1 / per_second
            if stop.wait(max(0.0, due - load.now())):
                return
            error = None
            try:
                ask()
            except Exception as failure:  # noqa: BLE001 - whatever it was, no right answer came
                error = f"{type(failure).__name__}: {failure}"
            load.requests.append(Request(due, (load.now() - due) * 1000, error))

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield load
    finally:
        stop.set()
        for worker in workers:
            worker.join()
