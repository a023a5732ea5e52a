"""What the operator made for an agent, and what only has its name."""

from typing import Any

import pytest

from dlagent.reconcile.observe import is_agents


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
