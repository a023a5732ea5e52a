"""KEDA's trigger: the HPA's External metric, and a lost series read as 0."""

import pytest

from dlagent.replay.baselines import replica
from dlagent.replay.baselines.keda import keda_rps
from dlagent.replay.policy import Seen
from tests.unit.replay.seen import MANIFEST, NAN, seen

ONE = replica.requests_per_second(MANIFEST)  # what one replica can do, which is the target here


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(seen(rates=[1.5 * ONE, 1.4 * ONE]), 3, id="the sum by the target"),
        pytest.param(seen(rates=[1.05 * ONE, 1.1 * ONE]), 2, id="within the tolerance: nothing"),
        pytest.param(
            seen(rates=[1.5 * ONE, 1.4 * ONE, NAN, NAN], ready=[True, True, False, False]),
            3,
            id="pods that start add nothing, and are no reason to wait",
        ),
        pytest.param(
            seen(rates=[1.05 * ONE, 1.05 * ONE, NAN, NAN], ready=[True, True, False, False]),
            3,
            id="nor are they left out of what it is compared with",
        ),
        pytest.param(seen(rates=[ONE, ONE, NAN, NAN]), 2, id="a lost series is not in the sum"),
        pytest.param(seen(rates=[NAN] * 4), 0, id="all series are lost: 0"),
        pytest.param(seen(rates=[0.0] * 4), 0, id="nothing comes: 0"),
    ],
)
def test_the_sum_is_divided(shown: Seen, expected: int) -> None:
    keda = keda_rps("keda-rps", MANIFEST, 1.0, 0.0)
    assert 15.0 == keda.period_seconds
    assert expected == keda.replicas(shown)


def test_lost_series_scale_down_once_the_window_is_over() -> None:
    keda = keda_rps("keda-rps", MANIFEST, 1.0, 300.0)
    assert 4 == keda.replicas(seen(now=0, rates=[ONE] * 4))
    lost = [keda.replicas(seen(now=15.0 * sync, rates=[NAN] * 4)) for sync in range(1, 22)]
    assert [4] * 19 + [0, 0] == lost
