"""No autoscaler."""

from dlagent.replay.baselines.fixed import Fixed
from tests.unit.replay.seen import MANIFEST, seen


def test_the_number_stays() -> None:
    policy = Fixed("fixed:n=4", MANIFEST, 4)
    shown = [seen(rates=[0.0] * 2), seen(rates=[1e6] * 9)]
    assert [4, 4] == [policy.replicas(each) for each in shown]
