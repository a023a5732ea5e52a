"""What the operator made for an agent, and what only has its name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dlagent.reconcile.observe import is_agents, moment


def owner(name: str, kind: str = "DLAgent") -> dict[str, Any]:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": "u"}]}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, False),
        (owner("shoes"), True),
        (owner("boots") | {"labels": {"dlagent.io/name": "shoes"}}, False),
        (owner("shoes", kind="Deployment"), False),
        ({"labels": {"dlagent.io/name": "shoes"}}, True),
        ({"labels": {"dlagent.io/name": "boots"}}, False),
        ({"managedFields": [{"manager": "kubectl"}, {"manager": "dlagent-operator"}]}, True),
        ({"managedFields": [{"manager": "kubectl"}]}, False),
    ],
)
def test_is_agents(metadata: dict[str, Any], expected: bool) -> None:
    assert expected == is_agents({"metadata": {"name": "shoes"} | metadata}, "shoes")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T12:00:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        pytest.param("2026-01-01T12:00:00", None, id="without a zone it is no moment"),
        pytest.param("2026-01-01", None, id="nor is a day"),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_moment(text: object, expected: datetime | None) -> None:
    assert expected == moment(text)
