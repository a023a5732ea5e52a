"""The launcher's side of the supervisor's control socket."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class UnknownComponentError(LookupError):
    """The cluster has no component of that name."""


@dataclass(frozen=True)
class ComponentStatus:
    """State is waiting, starting, ready, failed, stopping or stopped.

    Memory is the proportional set size: what components share is counted once in a sum.
    """

    name: str
    state: str
    restarts: int
    memory_bytes: int


def status(control: Path) -> list[ComponentStatus]:
    """Every component, in the order of the plan. OSError when no supervisor listens."""
    return status_and_memory(control)[0]


def status_and_memory(control: Path) -> tuple[list[ComponentStatus], int]:
    """As `status`, with the memory of the supervisor itself in bytes."""
    reply = _ask(control, "status")
    components = [ComponentStatus(**entry) for entry in reply["components"]]
    return components, int(reply["own_memory_bytes"])


def act(control: Path, verb: str, component: str) -> ComponentStatus:
    """Do `start`, `stop`, `restart` or `kill`; returns at once, with the state then."""
    reply = _ask(control, verb, component)
    if "error" in reply:
        raise UnknownComponentError(f"no component {component!r}; {reply['error']}")
    return ComponentStatus(**reply)


def _ask(control: Path, verb: str, component: str | None = None) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5.0)
        client.connect(str(control))
        client.sendall(json.dumps({"do": verb, "component": component}).encode() + b"\n")
        reply: dict[str, Any] = json.loads(client.makefile().readline())
    return reply
