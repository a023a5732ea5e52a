"""Revisions: which changes of the spec are another one, and so roll out."""

from dataclasses import replace

import pytest

from dlagent.domain.rollout.revision import revision_id
from tests.unit.domain.rollout.situations import (
    TARGET,
    agent,
    artifact,
)

SAME_REVISION = [
    (
        "the same objective in other words",
        {"slo": {"latency": {"thresholdMilliseconds": 50, "objectivePercent": "99.0"}}},
    ),
    ("the build's memory", {"build": {"resources": {"limits": {"memory": "9Gi"}}}}),
    ("the size", {"scaling": {"mode": "Manual"}, "replicas": 3}),
    ("the deadline", {"rollout": {"deadlineSeconds": 10}}),
    ("a default written out", {"serving": {"runtime": "triton"}}),
]
OTHER_REVISION = [
    ("the threshold", {"slo": {"latency": {"thresholdMilliseconds": 9}}}),
    (
        "the objective",
        {"slo": {"latency": {"thresholdMilliseconds": 50, "objectivePercent": "98"}}},
    ),
    ("the batch size", {"serving": {"maxBatchSize": 3}}),
    ("the memory of serving", {"serving": {"resources": {"limits": {"memory": "1Gi"}}}}),
    ("a restart", {"restarted_at": "now"}),
]


@pytest.mark.parametrize(
    "spec", [row[1] for row in SAME_REVISION], ids=[row[0] for row in SAME_REVISION]
)
def test_what_rolls_nothing_out(spec: dict[str, object]) -> None:
    assert TARGET == revision_id(artifact(), agent(**spec))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    "spec", [row[1] for row in OTHER_REVISION], ids=[row[0] for row in OTHER_REVISION]
)
def test_what_rolls_out(spec: dict[str, object]) -> None:
    assert TARGET != revision_id(artifact(), agent(**spec))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("serving", "decides"),
    [
        pytest.param({"maxBatchSize": 2, "instancesPerReplica": 1}, False, id="nothing is left"),
        pytest.param({"maxBatchSize": 2}, True, id="the instances are left"),
        pytest.param({"instancesPerReplica": 1}, True, id="the batch size is left"),
    ],
)
def test_the_promise_counts_where_it_decides_something(
    serving: dict[str, int], decides: bool
) -> None:
    def revision(threshold: int) -> str:
        slo = {"latency": {"thresholdMilliseconds": threshold}}
        return revision_id(artifact(), agent(serving=serving, slo=slo))

    assert decides == (revision(10) != revision(20))


def test_an_agent_made_anew_has_revisions_of_its_own() -> None:
    assert TARGET != revision_id(artifact(), replace(agent(), uid="another"))
