"""Which Triton counts latencies, and up to where."""

import pytest

from dlagent.domain.artifact.latency_histogram import edges_milliseconds, has_histograms


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("24.10", False),
        ("25.12", False),
        ("26.01", True),
        ("26.02-py3", True),
        ("27.01", True),
        ("2.51.0", False),
        ("2.64.0", False),
        ("2.65.0", True),
        ("2.100", True),
        ("latest", False),
        ("", False),
    ],
)
def test_the_version(version: str, expected: bool) -> None:
    assert expected == has_histograms(version)


@pytest.mark.parametrize("threshold", [1, 50, 333, 600_000])
def test_the_threshold_is_an_edge_and_edges_rise(threshold: int) -> None:
    edges = edges_milliseconds(threshold)
    assert threshold in edges
    assert sorted(set(edges)) == list(edges)
    assert edges[0] > 0
