"""Comparisons: which runs there are, and what is said where no plan keeps the objective."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from dlagent.replay.compare import Setup, compare, in_order
from dlagent.replay.policies import parse_policies
from dlagent.replay.requests import Load
from tests.unit.replay.seen import MANIFEST


def setup(policies: str, rates: Sequence[float] = (50.0,) * 10, **manifest: float) -> Setup:
    """Rates by minute, without a warm-up."""
    told = replace(MANIFEST, **manifest)  # type: ignore[arg-type]  # floats
    load = Load(np.array(rates), 60, 0, np.zeros(0))
    return Setup(load, told, "random", (), parse_policies(policies, told), (1,))


@pytest.mark.parametrize(
    ("rates", "manifest", "why"),
    [
        pytest.param(
            [100.0] * 10, {"max_replicas": 1}, "within --max", id="more replicas would keep it"
        ),
        pytest.param(
            [10.0] * 2 + [200.0] * 8,
            {"pod_start_seconds": 600.0, "max_replicas": 50},
            "pods may start too slowly (--pod-start)",
            id="no pod that is asked for starts before the end",
        ),
    ],
)
def test_why_no_plan_keeps_the_objective(
    rates: list[float], manifest: dict[str, float], why: str
) -> None:
    (run,) = compare(setup("oracle", rates, **manifest), jobs=1)
    assert run.remark.startswith("no plan")
    assert run.remark.endswith(why)


def test_a_fixed_number_is_there_from_the_beginning() -> None:
    sticky = replace(setup("fixed:n=6", [10.0] + [150.0] * 9), routing="connections:64")
    (run,) = compare(sticky, jobs=1)
    assert run.row.attained > 0.99
    assert 1.0 == pytest.approx(run.row.replica_hours)
    assert 0 == run.row.changes_per_hour


def test_why_no_plan_keeps_the_objective_over_connections_that_stay() -> None:
    sticky = setup("oracle", [10.0] * 2 + [150.0] * 20, max_replicas=50)
    (run,) = compare(replace(sticky, routing="connections:4"), jobs=1)
    assert run.remark.endswith("connections stay with the pods of the beginning (--routing)")


@pytest.mark.parametrize("jobs", [1, 2])
def test_policies_that_share_a_name_are_two(jobs: int) -> None:
    two = setup("hpa-rps:target=0.7,hpa-rps:target=0.70000000000001,oracle")
    assert 2 == len({choice.name for choice in two.choices})
    runs = in_order(two, list(compare(two, jobs)))
    assert list(two.choices) == [run.choice for run in runs]
