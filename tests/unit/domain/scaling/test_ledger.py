"""The books of the SLO: every answer is in them once, whatever happens between two ticks."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.ledger import Entry, Ledger, account
from dlagent.domain.scaling.samples import PodSamples, Sample
from dlagent.domain.scaling.signals import PodSeen, Supply

POD = PodSeen("a", Supply.READY, created=0.0, ready_since=5.0)
HALF_IN_TIME = ((0.5, 0.1), (0.99, 0.2))
THRESHOLD = 0.1


def counted(
    *successes: Sample, failed: float = 0.0, quantiles: object = HALF_IN_TIME
) -> PodSamples:
    failures = tuple((at, failed) for at, _ in successes)
    return PodSamples(successes=successes, failures=failures, quantiles=quantiles)  # type: ignore[arg-type]


def first_tick(samples: PodSamples) -> Ledger:
    ledger, entry = account(Ledger(), {"a": samples}, [POD], THRESHOLD)
    assert Entry() == entry
    return ledger


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(counted((110, 160)), Entry(60, 30), id="answers, by the share in time"),
        pytest.param(counted((100, 100)), Entry(0, 0), id="the same sample is counted once"),
        pytest.param(
            counted((110, 160), failed=10), Entry(70, 30), id="a failed request is a missed one"
        ),
        pytest.param(
            counted((110, 160), (120, 20)), Entry(80, 40), id="a reset in between loses nothing"
        ),
        pytest.param(
            counted((500, 160)), Entry(60, 30), id="after a gap the difference is still there"
        ),
        pytest.param(
            counted((110, 160), quantiles=((0.5, math.nan),)),
            Entry(0, 0),
            id="answers of unknown latency wait",
        ),
        pytest.param(
            replace(counted((110, 160)), twice=True), Entry(0, 0), id="a doubled series is not read"
        ),
        pytest.param(counted((110, math.nan)), Entry(0, 0), id="NaN is not read"),
    ],
)
def test_the_second_tick(samples: PodSamples, expected: Entry) -> None:
    ledger = first_tick(counted((100, 100)))
    _, entry = account(ledger, {"a": samples}, [POD], THRESHOLD)
    assert pytest.approx((expected.requests, expected.good)) == (entry.requests, entry.good)


def test_what_waited_is_counted_once_its_latency_is_known() -> None:
    ledger = first_tick(counted((100, 100)))
    unknown = {"a": counted((110, 160), quantiles=())}
    ledger, _ = account(ledger, unknown, [POD], THRESHOLD)
    _, entry = account(ledger, {"a": counted((120, 180))}, [POD], THRESHOLD)
    assert pytest.approx(80) == entry.requests


def test_a_pod_whose_counters_were_seen_to_begin_counts_from_zero() -> None:
    ledger = first_tick(counted((100, 100)))
    new = PodSeen("b", Supply.READY, created=20.0, ready_since=105.0, counted_since=108.0)
    ledger, entry = account(ledger, {"b": counted((108, 40))}, [new], THRESHOLD)
    assert pytest.approx(40) == entry.requests
    _, entry = account(ledger, {"b": counted((108, 40), (118, 60))}, [new], THRESHOLD)
    assert pytest.approx(20) == entry.requests


def test_a_pod_without_samples_keeps_its_place_in_the_books() -> None:
    ledger = first_tick(counted((100, 100)))
    ledger, _ = account(ledger, {}, [POD], THRESHOLD)
    _, entry = account(ledger, {"a": counted((120, 160))}, [POD], THRESHOLD)
    assert pytest.approx(60) == entry.requests


def test_a_pod_that_is_gone_leaves_the_books() -> None:
    ledger, _ = account(first_tick(counted((100, 100))), {}, [], THRESHOLD)
    assert {} == ledger.marks


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_ticks_at_any_times_add_up_to_the_whole(steps: list[float]) -> None:
    ledger = first_tick(counted((100, 0)))
    value, total = 0.0, 0.0
    for number, step in enumerate(steps):
        value += step
        at = 110.0 + 10 * number
        ledger, entry = account(ledger, {"a": counted((at, value))}, [POD], THRESHOLD)
        total += entry.requests
    assert pytest.approx(value) == total
