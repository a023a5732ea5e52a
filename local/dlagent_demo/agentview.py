"""Follows an agent until it serves: each change is a line, the whole state a live table."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table

from dlagent_demo.kube import Json, Kube
from dlagent_demo.screen import Screen

POLL_SECONDS = 0.4


class AgentFailedError(RuntimeError):
    """The agent will not come up by waiting; the message is the operator's own."""


@dataclass(frozen=True)
class Snapshot:
    """An agent and the pods of its namespace at one moment."""

    agent: Json
    pods: list[Json]

    def condition(self, kind: str) -> Json:
        """A condition, or one of reason NotSeen."""
        for condition in self.agent.get("status", {}).get("conditions", []):
            if condition["type"] == kind:
                found: Json = condition
                return found
        return {"status": "Unknown", "reason": "NotSeen", "message": "the operator has not seen it"}

    @property
    def current(self) -> bool:
        """Whether the status speaks about the newest spec."""
        observed = self.agent.get("status", {}).get("observedGeneration")
        return bool(observed == self.agent["metadata"]["generation"])

    @property
    def ready(self) -> bool:
        """Whether the newest spec serves."""
        return self.current and self.condition("Ready")["status"] == "True"

    @property
    def stalled(self) -> bool:
        """Whether the operator has given up on the newest spec."""
        return self.current and self.condition("Stalled")["status"] == "True"

    @property
    def revision(self) -> str | None:
        """The revision that serves."""
        found: str | None = self.agent.get("status", {}).get("serving", {}).get("revision")
        return found


def look(kube: Kube, agent: str) -> Snapshot:
    """The agent and its namespace's pods, now.

    Raises:
        AgentFailedError: the agent is not there.
    """
    items = kube.get("dlagents,pods")["items"]  # one kubectl for both: it is asked often
    found = next(
        (i for i in items if i["kind"] == "DLAgent" and i["metadata"]["name"] == agent), None
    )
    if found is None:
        raise AgentFailedError(f"the agent {agent} is gone from namespace {kube.namespace}")
    return Snapshot(found, [item for item in items if item["kind"] == "Pod"])


def pod_state(pod: Json) -> str:
    """What `kubectl get pods` would say, in a word or two; only a pod that serves can be ready."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
        if waiting not in ("", "PodInitializing", "ContainerCreating"):
            return str(waiting)
    phase = str(status.get("phase", "Unknown"))
    if not any(c.get("name") == "load" for c in status.get("initContainerStatuses", [])):
        return phase
    if phase == "Pending":
        return "Loading the model"
    ready = {c["type"]: c["status"] for c in status.get("conditions", [])}.get("Ready") == "True"
    if phase == "Running":
        return "Ready" if ready else "Running, not ready"
    return phase


def _said(condition: Json) -> str:
    """Reason and message, the reason once."""
    reason, message = condition["reason"], condition.get("message", "")
    return message if message.startswith(f"{reason}:") else f"{reason}: {message}".rstrip(": ")


@dataclass
class ChangeLog:
    """Prints what is new in each snapshot, and nothing twice."""

    screen: Screen
    _ready: str = ""
    _pods: dict[str, str] = field(default_factory=dict)

    def note(self, seen: Snapshot) -> None:
        """Print a line for each thing that changed since the last snapshot."""
        ready = seen.condition("Ready")
        text = _said(ready)
        if seen.current and text != self._ready:
            self._ready = text
            self.screen.line(text)
        states = {pod["metadata"]["name"]: pod_state(pod) for pod in seen.pods}
        for name, state in states.items():
            if self._pods.get(name) != state:
                self.screen.line(f"pod {name}: {state}", style="dim")
        for name in self._pods.keys() - states.keys():
            self.screen.line(f"pod {name}: gone", style="dim")
        self._pods = states


def picture(seen: Snapshot) -> RenderableType:
    """The agent's conditions and pods as tables."""
    conditions = Table(title=f"DLAgent {seen.agent['metadata']['name']}", title_justify="left")
    for column in ("condition", "status", "reason", "message"):
        conditions.add_column(column, overflow="fold")
    colours = {"True": "green", "False": "red", "Unknown": "yellow"}
    for condition in seen.agent.get("status", {}).get("conditions", []):
        status = condition["status"]
        conditions.add_row(
            condition["type"],
            f"[{colours.get(status, 'white')}]{status}[/]",
            condition["reason"],
            condition.get("message", ""),
        )
    pods = Table(title="Pods", title_justify="left")
    pods.add_column("pod")
    pods.add_column("state")
    for pod in seen.pods:
        pods.add_row(pod["metadata"]["name"], pod_state(pod))
    return Group(conditions, pods)


def follow(
    kube: Kube,
    agent: str,
    screen: Screen,
    until: Callable[[Snapshot], bool],
    within_seconds: float,
) -> Snapshot:
    """Show the agent until `until` holds.

    Raises:
        AgentFailedError: the operator gave up, or the time is over.
    """
    deadline = time.monotonic() + within_seconds
    log = ChangeLog(screen)
    with screen.live() as show:
        while True:
            seen = look(kube, agent)
            log.note(seen)
            show(picture(seen))
            if until(seen):
                return seen
            ready = seen.condition("Ready")
            if seen.stalled:
                raise AgentFailedError(_said(ready))
            if time.monotonic() > deadline:
                raise AgentFailedError(
                    f"not within {within_seconds:.0f} s; the last that the operator said was "
                    f"{_said(ready)}"
                )
            time.sleep(POLL_SECONDS)
