"""Quantiles of counted latencies, against numpy's on the latencies themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.replay import kernel
from dlagent.replay.scraped import quantiles

COARSE = 1 / kernel.CLASSES_PER_E
SHARES = np.array([0.1, 0.5, 0.9, 0.99])


@given(st.lists(st.floats(1.2e-5, 50_000.0), min_size=1, max_size=300), st.booleans())
def test_they_are_within_a_class_of_the_true_ones(latencies: list[float], fine: bool) -> None:
    classes = np.array([kernel.fine_class(each) for each in latencies])
    if not fine:
        classes = -(-classes // kernel.FINE_IN_CLASS)
    counts = np.bincount(classes, minlength=kernel.FINE_CLASSES if fine else kernel.LATENCY_CLASSES)
    width = COARSE / kernel.FINE_IN_CLASS if fine else COARSE

    found = quantiles(counts, SHARES)

    true = np.quantile(latencies, SHARES, method="inverted_cdf")
    assert (np.abs(np.log(found / true)) <= width * 1.0001).all()


def test_within_a_class_they_are_on_a_line() -> None:
    counts = np.zeros(kernel.LATENCY_CLASSES, np.int64)
    counts[16] = 10
    low, high = 1e-5 * np.exp([15 / 16, 1.0])
    expected = low + (high - low) * np.array([0.1, 0.5, 1.0])
    assert expected == pytest.approx(quantiles(counts, np.array([0.1, 0.5, 1.0])))


def test_the_first_class_begins_at_zero() -> None:
    counts = np.zeros(kernel.LATENCY_CLASSES, np.int64)
    counts[0] = 1
    assert [5e-6] == pytest.approx(quantiles(counts, np.array([0.5])))


def test_of_nothing_there_is_none() -> None:
    found = quantiles(np.zeros(kernel.FINE_CLASSES, np.int64), SHARES)
    assert np.isnan(found).all()
