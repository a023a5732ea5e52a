"""The difference of Triton's counters of batches between two looks at a pod."""

import math

import pytest

from dlagent.domain.scaling.batch_counts import BatchCounts, Observed, Worked, observed

Sizes = dict[int, tuple[float, float]]


def counts(sizes: Sizes, pod: str = "a", at: float = 0.0, **members: Sizes) -> BatchCounts:
    models = {"shoes": sizes, **members}
    return BatchCounts(
        pod,
        at,
        {name: {b: Worked(*its) for b, its in found.items()} for name, found in models.items()},
    )


def seen(before: BatchCounts | None, after: BatchCounts) -> dict[int, tuple[float, float]]:
    found = observed(before, after, "shoes")
    assert found is not None
    return {size: (its.batches, its.seconds) for size, its in found.by_size.items()}


CASES: list[tuple[str, Sizes, Sizes, Sizes]] = [
    (
        "what was added is counted",
        {1: (10, 1.0)},
        {1: (30, 2.5)},
        {1: (20, 1.5)},
    ),
    (
        "a size that came since then is counted from 0",
        {1: (10, 1.0)},
        {1: (12, 1.2), 4: (3, 0.6)},
        {1: (2, 0.2), 4: (3, 0.6)},
    ),
    (
        "a size that nothing was added to is absent",
        {1: (10, 1.0), 2: (5, 1.0)},
        {1: (10, 1.0), 2: (6, 1.2)},
        {2: (1, 0.2)},
    ),
    (
        "a count that fell is a restart: all are counted from 0",
        {1: (100, 10.0), 2: (30, 4.0)},
        {1: (40, 5.0), 2: (35, 5.0)},
        {1: (40, 5.0), 2: (35, 5.0)},
    ),
    (
        "a size that is gone is a restart",
        {1: (100, 10.0), 2: (3, 4.0)},
        {1: (200, 20.0)},
        {1: (200, 20.0)},
    ),
    (
        "after a restart, few batches may be those of the warm-up",
        {1: (100, 10.0), 8: (30, 4.0)},
        {1: (40, 5.0), 8: (1, 3.0)},
        {1: (40, 5.0)},
    ),
    ("batches without time say nothing", {1: (10, 1.0)}, {1: (12, 1.0)}, {}),
    ("time without batches says nothing", {1: (10, 1.0)}, {1: (10, 2.0)}, {}),
    ("NaN says nothing", {1: (10, 1.0)}, {1: (12, math.nan)}, {}),
    ("an infinite time says nothing", {1: (10, 1.0)}, {1: (12, math.inf)}, {}),
    ("nothing at all is nothing", {}, {}, {}),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_between_two_looks(before: Sizes, after: Sizes, expected: Sizes) -> None:
    found = seen(counts(before), counts(after, at=60))
    assert expected == {size: pytest.approx(its) for size, its in found.items()}


def test_the_first_look_counts_from_the_beginning_without_the_warm_up() -> None:
    assert seen(None, counts({1: (500, 50.0), 8: (1, 9.0)})) == {1: (500, 50.0)}


def test_of_another_pod_nothing_is_known_before_a_second_look() -> None:
    assert observed(counts({1: (10, 1.0)}), counts({1: (90, 9.0)}, pod="b"), "shoes") is None


def test_a_model_that_is_not_there_says_nothing() -> None:
    assert seen(None, BatchCounts("a", 0.0, {"other": {1: Worked(100, 1.0)}})) == {}


def test_a_batch_of_an_ensemble_takes_the_sum_of_its_members() -> None:
    before = counts({}, perceive_={}, decide_={})
    after = counts(
        {1: (50, 99.0)}, perceive_={1: (10, 1.0), 2: (7, 1.0)}, decide_={1: (20, 4.0)}, at=60
    )
    (its,) = seen(before, after).values()
    assert its == pytest.approx((10, 10 * (0.1 + 0.2)))


@pytest.mark.parametrize(
    ("what", "before", "after", "busy"),
    [
        ("two instances that never rest", 0.0, 60.0, 2.0),
        ("a clock that jumped back", 60.0, 0.0, 0.0),
        ("two looks at one moment", 60.0, 60.0, 0.0),
    ],
)
def test_how_many_instances_were_at_work(
    what: str, before: float, after: float, busy: float
) -> None:
    found = observed(counts({1: (0, 0.0)}, at=before), counts({1: (100, 120.0)}, at=after), "shoes")
    assert found == Observed({1: Worked(100, 120.0)}, busy), what


def test_how_many_were_at_work_since_the_beginning_is_not_known() -> None:
    found = observed(None, counts({1: (100, 120.0)}, at=60), "shoes")
    assert found is not None
    assert found.busy == 0
