"""The mixture of the pods' quantiles, against what it stands for."""

import math

import numpy as np
import pytest

from dlagent.domain.scaling.latency import Distribution, Mixture, distribution

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0.0, 0.0, id="nothing is answered at once"),
        pytest.param(0.05, 0.25, id="linear from zero to the first point"),
        pytest.param(0.1, 0.5, id="at a point its share"),
        pytest.param(0.2, 1 - 0.05**0.5, id="exponential between points"),
        pytest.param(0.3, 0.9, id="at the last point its share"),
    ],
)
def test_share_within(seconds: float, expected: float) -> None:
    given = Distribution(((0.5, 0.1), (0.9, 0.3)))
    assert pytest.approx(expected) == given.share_within(seconds)


def test_beyond_the_last_point_the_share_rises_towards_one() -> None:
    given = Distribution(((0.5, 0.1), (0.9, 0.3)))
    assert 0.9 < given.share_within(0.4) < given.share_within(0.8) < 1.0


def test_equal_quantiles_are_a_step() -> None:
    given = Distribution(((0.5, 0.1), (0.99, 0.1)))
    assert 1.0 == given.share_within(0.11)
    assert 0.5 == given.share_within(0.1)


@pytest.mark.parametrize(
    "quantiles",
    [
        pytest.param((), id="none"),
        pytest.param(((0.5, math.nan),), id="NaN, as Triton says when nothing was asked"),
        pytest.param(((0.5, math.inf),), id="infinite"),
        pytest.param(((0.5, -1.0),), id="negative"),
        pytest.param(((0.5, 0.2), (0.9, 0.1)), id="falling"),
        pytest.param(((0.0, 0.1), (0.9, 0.2)), id="a share of zero"),
        pytest.param(((0.5, 0.1), (1.0, 0.2)), id="a share of one"),
    ],
)
def test_what_is_no_distribution_is_none(quantiles: tuple[tuple[float, float], ...]) -> None:
    assert distribution(quantiles) is None


def test_the_p99_of_many_pods_is_near_the_true_one() -> None:
    random = np.random.default_rng(1)
    errors = []
    for _ in range(100):
        pods = [
            random.gamma(random.uniform(1, 8), random.uniform(5, 40), random.integers(500, 5000))
            for _ in range(random.integers(3, 12))
        ]
        parts = tuple(
            (float(len(pod)), Distribution(tuple((q, float(np.quantile(pod, q))) for q in SHARES)))
            for pod in pods
        )
        true = float(np.quantile(np.concatenate(pods), 0.99))
        errors.append(abs(Mixture(parts).quantile(0.99) / true - 1))
    assert float(np.median(errors)) < 0.005
    assert float(np.quantile(errors, 0.95)) < 0.03
