"""How requests find a pod: `random`, `p2c`, or `connections:8`, as `--routing` takes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlagent.replay import kernel
from dlagent.replay.kernel import Ints

_MOST_CONNECTIONS = 10_000


class RoutingError(ValueError):
    """A routing that there is not; the message says what there is."""


@dataclass(frozen=True)
class Routing:
    """`connections` is 0 but where requests stick to connections; `seed` draws their pods."""

    kind: int
    connections: int = 0
    seed: int = 0

    def connect(self, connections: Ints, ready: Sequence[int], random: np.random.Generator) -> None:
        """Connections whose pod is gone go to a random one that is ready; the others stay.

        So a gRPC channel does: a pod that comes later gets nothing of it.
        """
        if not len(connections):
            return
        lost = ~np.isin(connections, np.array(ready, np.int64))
        if not ready:
            connections[lost] = kernel.NOBODY
        elif lost.any():
            connections[lost] = random.choice(np.array(ready, np.int64), int(lost.sum()))


def parse_routing(text: str, seed: int = 0) -> Routing:
    """Raises RoutingError for what is no routing."""
    kind, _, number = text.partition(":")
    if kind == "random" and not number:
        return Routing(kernel.RANDOM)
    if kind == "p2c" and not number:
        return Routing(kernel.TWO_CHOICES)
    if kind == "connections" and number.isdecimal() and 1 <= int(number) <= _MOST_CONNECTIONS:
        return Routing(kernel.CONNECTIONS, int(number), seed)
    raise RoutingError(
        f"{text!r} is no routing: give random, p2c (the better of two), or connections:N with"
        f" N from 1 to {_MOST_CONNECTIONS}"
    )
