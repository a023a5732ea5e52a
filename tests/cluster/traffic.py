"""A load whose rate a test may change: the product's own open-loop sender, in a thread."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dlagent.bench.sender import Limits, Post, Sender
from harness import Agent, infer_body

# Of the local cluster's simulated accelerator a replica answers about 32 requests/s within 500 ms.
FOR_ONE, FOR_TWO, FOR_THREE, ALMOST_NONE = 15.0, 38.0, 72.0, 2.0
_TURN_SECONDS = 0.5  # at most, until another rate is heeded
# While the operator is killed again and again, far more wait than in a load that is followed. They
# are to be answered, late as they are: a limit of the client's own is no failure of the agent.
_PATIENT = Limits(connections=4000, timeout_seconds=180.0, fresh_connections=True)


@dataclass
class Traffic:
    """`per_second` may be set at any time; `sender` has what became of the requests."""

    sender: Sender
    per_second: float

    def due_times(self) -> Iterator[float]:
        """Evenly spaced at the rate of the moment."""
        due = 0.0
        while True:
            due += min(1 / self.per_second, _TURN_SECONDS)
            yield due

    @property
    def failures(self) -> dict[str, int]:
        """Requests without an answer so far, by kind."""
        return self.sender.journal.failures()


@contextmanager
def traffic(agent: Agent, per_second: float, rows: list[list[float]]) -> Iterator[Traffic]:
    """Requests of new clients, at least two a second, while the block runs."""
    post = Post(
        f"{agent.url()}/v2/models/{agent.name}/infer",
        json.dumps(infer_body(rows)).encode(),
        {"Content-Type": "application/json"},
    )
    load = Traffic(Sender(post, _PATIENT), per_second)
    thread = threading.Thread(target=lambda: asyncio.run(load.sender.send(load.due_times())))
    thread.start()
    try:
        yield load
    finally:
        load.sender.stop()
        thread.join()
