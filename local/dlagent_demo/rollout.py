"""Changes an agent under a steady load and shows that no request failed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from dlagent.api.names import REVISION_LABEL
from dlagent.cli.agent_client import AgentClient
from dlagent_demo.agentview import Snapshot, follow, look
from dlagent_demo.classify import top_class
from dlagent_demo.kube import Kube
from dlagent_demo.load import Load, steady_load
from dlagent_demo.screen import Screen

REQUESTS_PER_SECOND = 40
BEFORE_SECONDS = AFTER_SECONDS = 3.0
ROLLOUT_SECONDS = 120.0


class WrongAnswerError(RuntimeError):
    """The agent answered, and not what it answered before."""


@dataclass(frozen=True)
class Rollout:
    """A roll-out as its clients saw it."""

    load: Load
    changed_at: float  # seconds since the load began
    ready_at: float
    old_revision: str | None
    new_revision: str | None

    def table(self) -> Table:
        """Requests, failures and latency before, during and after."""
        table = Table(title="Requests by time", title_justify="left")
        for column in ("", "requests", "failed", "p50 ms", "p99 ms"):
            table.add_column(column, justify="right")
        phases = (
            ("before", 0.0, self.changed_at),
            ("during", self.changed_at, self.ready_at),
            ("after", self.ready_at, float("inf")),
        )
        for name, first, last in phases:
            seen = self.load.window(first, last)
            table.add_row(
                name,
                str(seen.requests),
                str(seen.failures),
                f"{seen.p50_milliseconds:.1f}",
                f"{seen.p99_milliseconds:.1f}",
            )
        return table


def roll_out(
    kube: Kube,
    client: AgentClient,
    image: NDArray[Any],
    change: Callable[[], None],
    screen: Screen,
) -> Rollout:
    """Apply `change` under load and wait until the new revision alone serves.

    Raises:
        AgentFailedError: the new revision did not come up.
    """
    model = client.model()
    inputs = {model.inputs[0].name: image[np.newaxis]}
    expected = top_class(client.infer(model, inputs))

    def ask() -> None:
        found = top_class(client.infer(model, inputs, fresh_connection=True))
        if found != expected:
            raise WrongAnswerError(f"class {found}, expected {expected}")

    old = look(kube, client.agent).revision
    with steady_load(ask, REQUESTS_PER_SECOND) as load:
        time.sleep(BEFORE_SECONDS)
        changed_at = load.now()
        change()
        seen = follow(kube, client.agent, screen, lambda now: _alone(now, old), ROLLOUT_SECONDS)
        ready_at = load.now()
        time.sleep(AFTER_SECONDS)
    return Rollout(load, changed_at, ready_at, old, seen.revision)


def _alone(seen: Snapshot, old: str | None) -> bool:
    """Whether a new revision serves and the pods of the old one are gone."""
    revisions = {pod["metadata"].get("labels", {}).get(REVISION_LABEL) for pod in seen.pods}
    return seen.ready and seen.revision != old and old not in revisions
