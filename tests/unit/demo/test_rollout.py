"""When a roll-out is over."""

from typing import Any

import pytest

from dlagent_demo.agentview import Snapshot
from dlagent_demo.rollout import _alone


def snapshot(revision: str, pods: list[str], ready: str = "True") -> Snapshot:
    agent: dict[str, Any] = {
        "metadata": {"generation": 2},
        "status": {
            "observedGeneration": 2,
            "serving": {"revision": revision},
            "conditions": [{"type": "Ready", "status": ready, "reason": "x"}],
        },
    }
    return Snapshot(agent, [{"metadata": {"labels": {"dlagent.io/revision": p}}} for p in pods])


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(snapshot("new", ["new"]), True, id="the new one alone"),
        pytest.param(snapshot("new", ["new", "old"]), False, id="the old one still drains"),
        pytest.param(snapshot("old", ["old"]), False, id="nothing happened yet"),
        pytest.param(snapshot("new", ["new"], ready="False"), False, id="the new one is not ready"),
    ],
)
def test_over(seen: Snapshot, expected: bool) -> None:
    assert _alone(seen, "old") is expected
