"""What one replica can do, in the baselines' terms."""

from dataclasses import replace

import pytest

from dlagent.domain.scaling.capacity import capacity
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay.baselines import replica
from tests.unit.replay.seen import MANIFEST


def test_the_rate_is_the_capacity() -> None:
    service = MANIFEST.service
    assert capacity(service, 0.5, 0.99) == replica.requests_per_second(MANIFEST)


def test_where_no_rate_keeps_the_promise_it_is_four_fifths_of_saturation() -> None:
    slow = replace(MANIFEST, service=ServiceTime(0.6, 0.0, 6))  # 10 requests/s at the very most
    assert pytest.approx(8.0) == replica.requests_per_second(slow)
    assert replica.concurrency(slow) > 8.0 * 0.6


def test_concurrency_is_about_what_a_replica_holds_at_its_capacity() -> None:
    # 32.4 requests/s (docs/explanation/capacity.md), half of which take 0.20 s or less
    assert pytest.approx(32.4 * 0.203, rel=0.01) == replica.concurrency(MANIFEST)
