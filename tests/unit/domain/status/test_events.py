"""Events: one for each change that a person would want to know, none for a restart."""

import pytest

from dlagent.api.conditions import ConditionType
from dlagent.api.status import DLAgentStatus, ServingStatus
from dlagent.domain.status.conditions import Finding, carry_over
from dlagent.domain.status.events import decide_events
from tests.unit.domain.rollout.situations import NOW


def status(
    ready: str, artifact: str, serves: str | None = None, rejected: str | None = None
) -> DLAgentStatus:
    """Ready and ArtifactReady with these reasons; True for Serving and Built."""
    findings = [
        Finding(ConditionType.READY, ready == "Serving", ready, f"because {ready}"),
        Finding(ConditionType.ARTIFACT_READY, artifact == "Built", artifact, f"since {artifact}"),
    ]
    return DLAgentStatus(
        conditions=carry_over([], findings, 1, NOW),
        serving=ServingStatus(revision=serves, rejected_revision=rejected),
    )


NEW = DLAgentStatus()
TABLE: list[tuple[str, DLAgentStatus, DLAgentStatus, list[tuple[str, str]]]] = [
    ("a build starts", NEW, status("Building", "Building"), [("Normal", "BuildStarted")]),
    (
        "an artifact is there",
        status("Building", "Building"),
        status("RollingOut", "Built"),
        [("Normal", "ArtifactPublished")],
    ),
    (
        "a revision serves",
        status("RollingOut", "Built"),
        status("Serving", "Built", serves="r" * 16),
        [("Normal", "RolledOut")],
    ),
    (
        "a build fails",
        status("Building", "Building"),
        status("InvalidModel", "InvalidModel"),
        [("Warning", "InvalidModel")],
    ),
    (
        "a revision is given up",
        status("RollingOut", "Built", serves="a"),
        status("SelfCheckFailed", "Built", serves="a", rejected="b"),
        [("Warning", "RolledBack"), ("Warning", "SelfCheckFailed")],
    ),
    ("nothing changes", status("Serving", "Built", "a"), status("Serving", "Built", "a"), []),
    (
        "the trouble stays the same",
        status("Unschedulable", "Built"),
        status("Unschedulable", "Built"),
        [],
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_events(
    before: DLAgentStatus, after: DLAgentStatus, expected: list[tuple[str, str]]
) -> None:
    assert expected == [(event.type, event.reason) for event in decide_events(before, after)]
