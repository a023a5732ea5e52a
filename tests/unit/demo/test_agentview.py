"""What the demo reads out of an agent's status and its pods."""

import io
from typing import Any

import pytest
from rich.console import Console

from dlagent_demo.agentview import AgentFailedError, ChangeLog, Snapshot, follow, picture, pod_state
from dlagent_demo.kube import Kube
from dlagent_demo.screen import Screen


def agent(observed: int = 1, generation: int = 1, **ready: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "False", "reason": "Building", "message": ""} | ready
    return {
        "kind": "DLAgent",
        "metadata": {"name": "a", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": [condition]},
    }


def pod(phase: str, name: str = "p", **status: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name}, "status": {"phase": phase, **status}}


def screen() -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, width=200)), out


WAITING = {"state": {"waiting": {"reason": "ErrImagePull"}}}
TRITON = [{"name": "triton"}]
LOADED = [{"name": "load"}]
STARTING = {"state": {"waiting": {"reason": "PodInitializing"}}}
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(pod("Pending"), "Pending", id="not scheduled"),
        pytest.param(pod("Pending", containerStatuses=[WAITING]), "ErrImagePull", id="no image"),
        pytest.param(
            pod("Pending", containerStatuses=[STARTING], initContainerStatuses=[{"name": "load"}]),
            "Loading the model",
            id="the init container works",
        ),
        pytest.param(
            pod(
                "Pending", containerStatuses=[STARTING], initContainerStatuses=[{"name": "triton"}]
            ),
            "Pending",
            id="a build waits for the Triton that it measures on",
        ),
        pytest.param(
            pod("Running", initContainerStatuses=LOADED),
            "Running, not ready",
            id="probes do not pass yet",
        ),
        pytest.param(
            pod("Running", initContainerStatuses=LOADED, conditions=READY), "Ready", id="ready"
        ),
        pytest.param(
            pod("Running", initContainerStatuses=TRITON, conditions=READY),
            "Running",
            id="a build publishes",
        ),
        pytest.param(pod("Succeeded"), "Succeeded", id="a build that is done"),
        pytest.param(
            {"metadata": {"name": "p", "deletionTimestamp": "now"}}, "Terminating", id="going"
        ),
    ],
)
def test_pod_state(seen: dict[str, Any], expected: str) -> None:
    assert pod_state(seen) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(agent(status="True"), True, id="ready"),
        pytest.param(agent(status="True", generation=2), False, id="ready, of the spec before"),
        pytest.param(agent(), False, id="building"),
        pytest.param({"metadata": {"generation": 1}}, False, id="never seen by the operator"),
    ],
)
def test_ready_speaks_of_the_newest_spec(seen: dict[str, Any], expected: bool) -> None:
    assert Snapshot(seen, []).ready is expected


def test_each_change_is_printed_once() -> None:
    shown, out = screen()
    log = ChangeLog(shown)
    for _ in range(3):
        log.note(Snapshot(agent(message="exporting"), [pod("Pending")]))
    log.note(Snapshot(agent(message="measuring"), []))
    text = out.getvalue()
    assert text.count("Building: exporting") == 1
    assert text.count("pod p: Pending") == 1
    assert "Building: measuring" in text
    assert "pod p: gone" in text


def test_picture_shows_conditions_and_pods() -> None:
    _, out = screen()
    Console(file=out, width=200).print(
        picture(Snapshot(agent(), [pod("Running", initContainerStatuses=LOADED)]))
    )
    assert "Building" in out.getvalue()
    assert "Running, not ready" in out.getvalue()


def test_follow_ends_with_the_operators_words(monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = agent(reason="BuildFailed", message="not an ONNX file")
    stalled["status"]["conditions"].append({"type": "Stalled", "status": "True", "reason": "x"})
    monkeypatch.setattr(Kube, "get", lambda *_: {"items": [stalled]})
    shown, _ = screen()
    with pytest.raises(AgentFailedError, match="BuildFailed: not an ONNX file"):
        follow(Kube(None, "n"), "a", shown, lambda seen: seen.ready, within_seconds=5)


def test_follow_says_that_the_agent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kube, "get", lambda *_: {"items": []})
    shown, _ = screen()
    with pytest.raises(AgentFailedError, match="gone"):
        follow(Kube(None, "n"), "a", shown, lambda _: True, within_seconds=5)
