"""Figures of a run: who counts where, and what there is when nothing was answered."""

import numpy as np
import pytest

from dlagent.bench import document
from dlagent.bench.journal import ANSWERED, NOT_SENT, UNFINISHED, Journal, Requests
from dlagent.bench.result import Percentiles, summarise, timeline


def requests(*ended: tuple[float, float, str]) -> Requests:
    """Due, latency, outcome of each."""
    journal = Journal()
    for due, latency, outcome in ended:
        journal.add(due, 0.001, latency, outcome)
    return journal.requests()


RUN = requests(
    (0.1, 0.1, ANSWERED),
    (0.2, 0.3, ANSWERED),
    (0.9, 0.2, ANSWERED),  # comes in the next second
    (0.5, 5.0, "HTTP 503"),
    (0.6, 0.0, NOT_SENT),
    (2.5, 1.0, UNFINISHED),
    (2.6, 0.5, ANSWERED),
)


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        pytest.param(0.2, 1.0, id="one that may still be in time says nothing"),
        pytest.param(0.3, 0.5, id="one that took longer already has missed"),
    ],
)
def test_a_request_that_was_stopped(waited: float, expected: float) -> None:
    run = requests((0.1, 0.1, ANSWERED), (0.2, waited, UNFINISHED))
    assert expected == summarise(run, slo_seconds=0.25, sending_seconds=1.0).within_slo
    assert expected == timeline(run, slo_seconds=0.25).within_slo[0]


def test_summary() -> None:
    found = summarise(RUN, slo_seconds=0.25, sending_seconds=3.0)
    assert (7, 4, 2, 1) == (found.due, found.answered, found.failed, found.unfinished)
    assert {"HTTP 503": 1, NOT_SENT: 1} == found.failures
    assert pytest.approx(7 / 3) == found.offered_per_second
    assert pytest.approx(3 / 3) == found.answered_per_second, "one answer came afterwards"
    assert pytest.approx(2 / 7) == found.within_slo, "a failure is a miss"
    assert pytest.approx([0.25, 0.5]) == [found.latency.p50, found.latency.max]


def test_timeline_counts_by_due_time_and_answers_by_when_they_came() -> None:
    found = timeline(RUN, slo_seconds=0.25)
    assert [5, 0, 2, 0, 0, 0] == found.offered.tolist()
    assert [2, 1, 0, 1, 0, 0] == found.answered.tolist()
    assert [2, 0, 0, 0, 0, 0] == found.failed.tolist()
    np.testing.assert_allclose([0.2, np.nan, 0.5] + [np.nan] * 3, found.p50_seconds, rtol=1e-6)
    np.testing.assert_allclose([2 / 5, np.nan, 0] + [np.nan] * 3, found.within_slo)
    assert [0, 1, 2, 3, 4, 5] == found.seconds.tolist()


def test_steps_of_some_seconds_pool_their_requests() -> None:
    found = timeline(RUN, None, step_seconds=3.0)
    assert [7, 0] == found.offered.tolist()
    assert pytest.approx(0.25) == found.p50_seconds[0]
    assert np.isnan(found.within_slo).all(), "no promise, no share"


def test_percentiles_are_those_of_each_second_and_of_the_whole() -> None:
    generator = np.random.default_rng(0)
    due, latency = generator.uniform(0, 5, 2000), generator.exponential(0.1, 2000)
    run = requests(*((d, x, ANSWERED) for d, x in zip(due, latency, strict=True)))
    found = timeline(run, None)
    for second in range(5):
        chosen = latency[(due >= second) & (due < second + 1)]
        assert pytest.approx(np.percentile(chosen, 99), rel=1e-5) == found.p99_seconds[second]
    whole = summarise(run, None, 5.0).latency
    assert pytest.approx(np.percentile(latency, 95), rel=1e-5) == whole.p95


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(requests(), id="nothing was due"),
        pytest.param(requests((0.5, 0.1, "HTTP 503")), id="nothing was answered"),
        pytest.param(requests((0.5, 0.1, UNFINISHED)), id="nothing ended"),
    ],
)
def test_without_answers_there_is_no_latency(run: Requests) -> None:
    found = summarise(run, 0.5, 1.0)
    assert Percentiles(None, None, None, None) == found.latency
    assert found.within_slo in (None, 0.0)
    for second in document.seconds(timeline(run, 0.5)):
        assert second.p99_seconds is None


def test_the_generator_says_that_it_could_not_keep_up() -> None:
    journal = Journal()
    for number in range(100):
        journal.add(number / 10, 0.02 if number < 2 else 0.001, 0.1, ANSWERED)
    lateness = summarise(journal.requests(), None, 10.0).lateness
    assert 2 == lateness.requests
    assert not lateness.kept_up
    assert pytest.approx(0.02) == lateness.max_seconds


def test_nan_never_gets_into_the_document() -> None:
    with pytest.raises(ValueError, match="finite"):
        document.Latency(p50=float("nan"), p95=None, p99=None, max=None)


def test_the_journal_can_be_read_while_it_grows() -> None:
    journal = Journal()
    journal.add(0.0, 0.0, 0.1, ANSWERED)
    before = journal.requests()
    journal.add(1.0, 0.0, 0.2, "HTTP 500")
    assert 1 == len(before.due_seconds)
    assert [1.0] == journal.requests(first=1).due_seconds.tolist()
    assert {"HTTP 500": 1} == journal.failures() == journal.requests().failures()
