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
    """State is waiting, starting, ready, failed, stopping or stopped."""

    name: str
    state: str
    restarts: int
    resident_bytes: int


def status(control: Path) -> list[ComponentStatus]:
    """Every component, in the order of the plan. OSError when no supervisor listens."""
    return [ComponentStatus(**entry) for entry in _ask(control, "status")["components"]]


def act(control: Path, verb: str, component: str) -> ComponentStatus:
    """Do `start`, `stop`, `restart` or `kill`; returns at once, with the state then."""
    reply = _ask(control, verb, component)
    if "error" in reply:
        raise UnknownComponentError(f"no component {component!r}: {reply['error']}")
    return ComponentStatus(**reply)


def _ask(control: Path, verb: str, component: str | None = None) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5.0)
        client.connect(str(control))
        client.sendall(json.dumps({"do": verb, "component": component}).encode() + b"\n")
        reply: dict[str, Any] = json.loads(client.makefile().readline())
    return reply
