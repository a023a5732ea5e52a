"""BCa on counts: as scipy has it on examples, what it cannot see, and how often it holds."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse, stats  # type: ignore[import-untyped]  # has no types

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.bootstrap import Bca, PairedClasses, bca, paired_classes
from dlagent.domain.gate.metrics import class_scores

Draw = tuple[Any, Any, Any]


def macro(kind: MetricKind, labels: Any, given: Any) -> float:
    rows = class_scores(labels, given)
    return float(np.mean([r.f1 if kind is MetricKind.F1 else r.recall for r in rows]))


def drawn(generator: np.random.Generator, n: int) -> Draw:
    """Three classes of unequal size; the candidate errs more often than the source."""
    labels = generator.choice(3, size=n, p=[0.5, 0.3, 0.2])
    before = np.where(generator.random(n) < 0.88, labels, generator.integers(0, 3, n))
    after = np.where(generator.random(n) < 0.94, before, generator.integers(0, 3, n))
    return labels, before, after


@pytest.mark.parametrize("kind", [MetricKind.RECALL, MetricKind.F1])
def test_figures_are_the_metrics(kind: MetricKind) -> None:
    labels, before, after = drawn(np.random.default_rng(1), 200)
    found = paired_classes(kind, labels, before, after)
    assert pytest.approx(macro(kind, labels, before)) == found.before
    assert pytest.approx(macro(kind, labels, after)) == found.after


@pytest.mark.parametrize("kind", [MetricKind.RECALL, MetricKind.F1])
def test_the_bound_is_that_of_scipy(kind: MetricKind) -> None:
    """Both draw at random, so they agree to a tenth of the distance to the bound."""
    labels, before, after = drawn(np.random.default_rng(2), 300)

    def drop(rows: Any) -> float:
        return macro(kind, labels[rows], before[rows]) - macro(kind, labels[rows], after[rows])

    expected = stats.bootstrap(
        (np.arange(300),), drop, vectorized=False, n_resamples=4000, method="BCa",
        alternative="less", confidence_level=0.95, rng=np.random.default_rng(0),
    ).confidence_interval.high  # fmt: skip
    found = paired_classes(kind, labels, before, after)
    distance = expected - found.drop
    assert distance > 0
    assert pytest.approx(expected, abs=0.1 * distance) == found.upper_bound(0.05)


def test_the_same_examples_in_another_order_give_the_same_bound() -> None:
    labels, before, after = drawn(np.random.default_rng(3), 300)
    mixed = np.random.default_rng(4).permutation(300)
    one = paired_classes(MetricKind.F1, labels, before, after)
    other = paired_classes(MetricKind.F1, labels[mixed], before[mixed], after[mixed])
    assert one.upper_bound(0.05) == other.upper_bound(0.05)


@pytest.mark.parametrize("level", [0.2, 0.05, 0.0125])
def test_the_bound_is_within_a_limit_where_the_p_value_is_within_the_level(level: float) -> None:
    found = paired_classes(MetricKind.F1, *drawn(np.random.default_rng(5), 400))
    bound = found.upper_bound(level)
    assert found.drop < bound
    assert found.p_value(bound + 1e-9) <= level
    assert found.p_value(bound - 1e-4) > level


def test_where_no_sample_differs_the_bound_is_the_estimate() -> None:
    found = bca(np.array([30, 20]), sparse.eye_array(2, format="csr"), lambda s: np.zeros(len(s)))
    assert (0.0, 0.0, 1.0) == (found.upper_bound(0.05), found.p_value(0.01), found.p_value(-0.01))


@pytest.mark.parametrize(
    ("drop", "p_value"),
    [
        pytest.param(-1.0, 1.0, id="no sample is within"),
        pytest.param(5.0, 1 / 1001, id="all are within, and fewer than 1000 could not tell"),
    ],
)
def test_p_values_end_with_the_samples(drop: float, p_value: float) -> None:
    found = Bca(0.5, np.linspace(0, 1, 1000), bias=0.0, acceleration=0.0)
    assert pytest.approx(p_value) == found.p_value(drop)


def test_samples_too_few_for_the_level_bound_nothing() -> None:
    assert 1.0 == Bca(0.01, np.linspace(0, 0.02, 100), 0.0, 0.0).upper_bound(1e-4)


def same_answers(*supports: int) -> PairedClasses:
    labels = np.repeat(np.arange(len(supports)), supports)
    return paired_classes(MetricKind.RECALL, labels, labels, labels)


@pytest.mark.parametrize(
    ("one", "needed"),
    [
        pytest.param(same_answers(50, 50, 50), 299, id="classes of one size: as for accuracy"),
        # 299 / (2 classes x 10 of the rarest) times the 100 that are there.
        pytest.param(same_answers(90, 10), 1495, id="a rare class: its examples decide"),
    ],
)
def test_a_candidate_that_never_differs_needs_examples_too(one: PairedClasses, needed: int) -> None:
    assert needed == one.apriori_needed(0.01, 0.05)
    assert 0 == one.drop < 0.01 < one.upper_bound(0.05)
    assert one.p_value(0.01) > 0.05


def test_with_about_as_many_examples_as_it_asks_for_it_passes() -> None:
    labels, before, after = drawn(np.random.default_rng(6), 400)
    one = paired_classes(MetricKind.F1, labels, before, after)
    limit = one.drop + 0.01
    needed = one.more_needed(limit, 0.05)
    assert needed is not None
    assert one.p_value(limit) > 0.05
    counts = np.ceil(1.15 * needed / 400 * one.counts).astype(np.int64)
    more = PairedClasses(one.kind, one.labels, one.answers_before, one.answers_after, counts)
    assert more.p_value(limit) <= 0.05
    assert one.more_needed(one.drop, 0.05) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MetricKind.RECALL, MetricKind.F1])
def test_a_bound_holds_about_as_often_as_it_says(kind: MetricKind) -> None:
    """200 data sets: at 95 % fewer than 180 are seen once in 500 times, and these are seeded."""
    labels, before, after = drawn(np.random.default_rng(7), 300_000)
    truth = macro(kind, labels, before) - macro(kind, labels, after)
    generator = np.random.default_rng(8)
    bounds = [paired_classes(kind, *drawn(generator, 300)).upper_bound(0.05) for _ in range(200)]
    assert sum(bound >= truth for bound in bounds) >= 180
