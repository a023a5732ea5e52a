"""The metrics' gaps of the benchmark `scaler`: who decides in them, and what counts there."""

import pytest

from benchmarks.scaler_study.cases import SOURCES, Case
from benchmarks.scaler_study.gaps import Holding, scale_downs, starts
from dlagent.replay.faults import Fault, FaultKind
from dlagent.replay.policy import Seen
from tests.unit.replay.seen import seen

GAP = Fault(FaultKind.GAP, 100.0, 200.0)


class Counting:
    name = "counting"
    period_seconds = 10.0

    def __init__(self) -> None:
        self.asked = 0

    def replicas(self, _seen: Seen) -> int:
        self.asked += 1
        return 9


@pytest.mark.parametrize(
    ("now", "replicas"),
    [
        pytest.param(99.0, 9, id="before the gap"),
        pytest.param(100.0, 9, id="as it begins, since nothing is lost yet"),
        pytest.param(101.0, 3, id="in it"),
        pytest.param(199.0, 3, id="until it ends"),
        pytest.param(200.0, 9, id="after it"),
    ],
)
def test_holding_obeys_outside_of_the_gap(now: float, replicas: int) -> None:
    policy = Counting()
    at = seen(now=now, replicas=3)
    assert Holding(policy, GAP.begins, GAP.ends).replicas(at) == replicas
    assert policy.asked == 1  # it sees what there is in the gap too


@pytest.mark.parametrize(
    ("plan", "count"),
    [
        pytest.param(((0.0, 5),), 0, id="nothing happens"),
        pytest.param(((0.0, 5), (99.0, 4)), 0, id="down before"),
        pytest.param(((0.0, 5), (110.0, 4), (150.0, 3)), 2, id="down twice"),
        pytest.param(((0.0, 5), (100.0, 4)), 0, id="down as it begins"),
        pytest.param(((0.0, 5), (150.0, 6)), 0, id="up"),
        pytest.param(((0.0, 5), (200.0, 4)), 0, id="down when it is over"),
    ],
)
def test_scale_downs_in_the_gap_are_counted(
    plan: tuple[tuple[float, int], ...], count: int
) -> None:
    assert scale_downs(plan, GAP) == count


def test_a_gap_and_its_aftermath_lie_within_the_case() -> None:
    source = next(each for each in SOURCES if each.name == "azure-llm")
    found = starts(Case(source, "hpa-rps"), 5)
    assert (found[0], found[1], found[-1]) == (15, 20, 20)
