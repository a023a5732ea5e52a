"""The steady load counts every request, tries none again, and hides no stall."""

import itertools
import threading

import pytest

from dlagent_demo.load import Load, Request, steady_load


def test_failures_are_counted_and_not_tried_again() -> None:
    calls, enough = itertools.count(1), threading.Event()

    def ask() -> None:
        call = next(calls)
        if call == 20:
            enough.set()
        if call % 2:
            raise ConnectionError(f"call {call}")

    with steady_load(ask, per_second=2000, threads=1) as load:
        assert enough.wait(10)
    failed = load.failures()
    assert [r.error for r in load.requests[:4:2]] == [
        "ConnectionError: call 1",
        "ConnectionError: call 3",
    ]
    assert len(failed) == (len(load.requests) + 1) // 2


def test_latency_counts_from_when_a_request_was_due() -> None:
    stalled, enough = threading.Event(), threading.Event()
    calls = itertools.count()

    def ask() -> None:
        call = next(calls)
        if call == 0:
            stalled.wait(0.2)  # the server hangs on the first request
        if call == 5:
            enough.set()

    with steady_load(ask, per_second=100, threads=1) as load:
        assert enough.wait(10)
    assert load.requests[1].latency_milliseconds > 150


def test_window_splits_by_due_time() -> None:
    load = Load()
    load.requests += [Request(float(i), 10.0 * i, "lost" if i == 3 else None) for i in range(6)]
    window = load.window(1, 5)
    assert (window.requests, window.failures) == (4, 1)
    assert window.p50_milliseconds == pytest.approx(20)
    assert window.p99_milliseconds == pytest.approx(39.6)


def test_window_without_answers_has_no_latency() -> None:
    window = Load().window(0, 1)
    assert window.requests == 0
    assert window.p50_milliseconds != window.p50_milliseconds  # NaN
