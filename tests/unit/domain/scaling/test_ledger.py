"""The books of the SLO: every answer is in them once, whatever happens between two ticks."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.latency import LatencySignal
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
            counted((110, 160), (120, 20), (130, 30)),
            Entry(90, 45),
            id="a reset in between loses nothing",
        ),
        pytest.param(
            counted((110, 160), (120, 0)), Entry(60, 30), id="a fall waits until it is confirmed"
        ),
        pytest.param(
            counted((110, 160), (120, 0), (130, 170)),
            Entry(70, 35),
            id="a fall that is taken back counts nothing",
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


def test_a_rise_that_only_the_next_sample_takes_back_is_booked_once() -> None:
    ledger = first_tick(counted((100, 1000), (110, 1030)))
    odd = counted((100, 1000), (110, 1030), (120, 5000))
    ledger, _ = account(ledger, {"a": odd}, [POD], THRESHOLD)
    true = counted((110, 1030), (120, 5000), (130, 1070))
    _, entry = account(ledger, {"a": true}, [POD], THRESHOLD)
    assert pytest.approx(40) == entry.requests


def timed(
    within: Sequence[Sample], total: Sequence[Sample], edge: float = THRESHOLD
) -> tuple[tuple[float, tuple[Sample, ...]], ...]:
    return ((edge, tuple(within)), (math.inf, tuple(total)))


def assert_counted(entry: Entry, requests: float, good: float, signal: LatencySignal) -> None:
    assert (requests, signal) == (entry.requests, entry.signal)
    assert good == pytest.approx(entry.good)


BEFORE = timed([(100, 80)], [(100, 100)])


@pytest.mark.parametrize(
    ("buckets", "good", "signal"),
    [
        pytest.param(
            timed([(110, 137)], [(110, 160)]), 57, LatencySignal.HISTOGRAM, id="they are counted"
        ),
        pytest.param(
            timed([(110, 194)], [(110, 220)]),
            57,
            LatencySignal.HISTOGRAM,
            id="what the histogram counts more changes no share",
        ),
        pytest.param(
            timed([(110, 160), (120, 19), (130, 29)], [(110, 180), (120, 20), (130, 30)]),
            60 * 109 / 110,
            LatencySignal.HISTOGRAM,
            id="a reset in between loses nothing",
        ),
        pytest.param(
            timed([(110, 500)], [(110, 160)]),
            60,
            LatencySignal.HISTOGRAM,
            id="never more than all",
        ),
        pytest.param(
            timed([(110, 137)], [(110, 160)], edge=0.2),
            30,
            LatencySignal.SUMMARY,
            id="where the threshold is no edge they are estimated",
        ),
        pytest.param(
            timed([(100, 80)], [(100, 100)]),
            30,
            LatencySignal.SUMMARY,
            id="where the histogram counted nothing they are estimated",
        ),
        pytest.param(
            timed([(110, math.nan)], [(110, 160)]),
            30,
            LatencySignal.SUMMARY,
            id="NaN is no count",
        ),
        pytest.param((), 30, LatencySignal.SUMMARY, id="without a histogram they are estimated"),
    ],
)
def test_answers_in_time_by_the_histogram(
    buckets: tuple[tuple[float, tuple[Sample, ...]], ...], good: float, signal: LatencySignal
) -> None:
    ledger = first_tick(replace(counted((100, 100)), buckets=BEFORE))
    _, entry = account(
        ledger, {"a": replace(counted((110, 160)), buckets=buckets)}, [POD], THRESHOLD
    )
    assert_counted(entry, 60, good, signal)


def test_a_histogram_does_without_quantiles() -> None:
    ledger = first_tick(replace(counted((100, 100), quantiles=()), buckets=BEFORE))
    now = replace(counted((110, 160), quantiles=()), buckets=timed([(110, 137)], [(110, 160)]))
    _, entry = account(ledger, {"a": now}, [POD], THRESHOLD)
    assert_counted(entry, 60, 57, LatencySignal.HISTOGRAM)


def test_a_new_pod_counts_its_histogram_from_zero() -> None:
    new = replace(POD, counted_since=110.0)
    seen = replace(counted((110, 60)), buckets=timed([(110, 45)], [(110, 60)]))
    _, entry = account(Ledger(), {"a": seen}, [new], THRESHOLD)
    assert_counted(entry, 60, 45, LatencySignal.HISTOGRAM)


def test_after_another_promise_the_first_tick_is_estimated() -> None:
    both = (*timed([(100, 80)], [])[:1], (0.2, ((100, 90),)), (math.inf, ((100, 100),)))
    ledger = first_tick(replace(counted((100, 100)), buckets=both))
    later = ((0.1, ((110, 137),)), (0.2, ((110, 148),)), (math.inf, ((110, 160),)))
    ledger, entry = account(ledger, {"a": replace(counted((110, 160)), buckets=later)}, [POD], 0.2)
    assert LatencySignal.SUMMARY == entry.signal
    last = ((0.1, ((120, 157),)), (0.2, ((120, 167),)), (math.inf, ((120, 180),)))
    _, entry = account(ledger, {"a": replace(counted((120, 180)), buckets=last)}, [POD], 0.2)
    assert_counted(entry, 20, 19, LatencySignal.HISTOGRAM)


def test_an_estimate_of_one_pod_makes_the_sum_an_estimate() -> None:
    ledger = first_tick(replace(counted((100, 100)), buckets=BEFORE))
    ledger, _ = account(ledger, {"b": counted((100, 100))}, [POD, replace(POD, name="b")], 0.1)
    now = {
        "a": replace(counted((110, 160)), buckets=timed([(110, 137)], [(110, 160)])),
        "b": counted((110, 120)),
    }
    _, entry = account(ledger, now, [POD, replace(POD, name="b")], THRESHOLD)
    assert_counted(entry, 80, 67, LatencySignal.SUMMARY)


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
