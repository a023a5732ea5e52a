"""Who won, by how much, over whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.artifact.comparison import (
    compared_batch,
    drop_of,
    lower_is_better,
    named,
    pareto_front,
    ranked,
    speed_at,
    speeds,
    worst_classes,
)
from dlagent.domain.artifact.report import ClassReport, Report
from tests.unit.report import examples


def timed_at(*batches: int) -> Report:
    """The report, with times for these batches only."""
    made = examples.report()
    changed = [
        each.model_copy(update={"timings": [t for t in each.timings if t.batch in batches]})
        for each in made.candidates
    ]
    return made.model_copy(update={"candidates": changed})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(timed_at(1, 8, 32), 8, id="8 where it was measured"),
        pytest.param(timed_at(1, 32), 32, id="else the largest"),
        pytest.param(timed_at(), None, id="nothing was measured"),
    ],
)
def test_the_batch_that_is_compared_at(made: Report, expected: int | None) -> None:
    assert expected == compared_batch(made.candidates)


def test_speed_is_the_sources_time_over_the_chosens() -> None:
    made = examples.report()

    assert [1, 8, 32] == [each.batch for each in speeds(made)]
    speed = speed_at(made, 8)
    assert speed is not None
    assert pytest.approx(2.2 / 0.84) == speed.factor


def test_without_a_source_nothing_is_compared() -> None:
    made = examples.report()
    others = [each for each in made.candidates if each.name != "fp32"]

    assert [] == speeds(made.model_copy(update={"candidates": others}))


def test_the_chosen_is_first_then_they_go_by_speed() -> None:
    assert [
        "int8",
        "prune-50-int8",
        "prune-70",
        "int8-s8s8",
        "fp32",
        "tensorrt",
        "prune-30",
        "int8-dynamic",
        "student",
    ] == [each.name for each in ranked(examples.report().candidates)]


@pytest.mark.parametrize(
    ("made", "name", "expected"),
    [
        pytest.param(examples.report(), "int8", 0.0004, id="a finalist: before the gate"),
        pytest.param(examples.report(), "int8-s8s8", 0.0008, id="another: in the selection"),
        pytest.param(examples.report(), "student", None, id="one that was not measured"),
        pytest.param(examples.errors(), "int8-s8s8", 0.034, id="an error is a loss itself"),
    ],
)
def test_what_is_lost(made: Report, name: str, expected: float | None) -> None:
    candidate = named(made, name)
    assert candidate is not None
    assert pytest.approx(expected) == drop_of(made.candidates, candidate, lower_is_better(made))


points = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1)), max_size=20)


@given(points, st.booleans())
def test_no_point_beats_the_front_and_the_front_beats_all_others(
    found: list[tuple[float, float]], lower: bool
) -> None:
    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        better = one[1] <= other[1] if lower else one[1] >= other[1]
        return one != other and one[0] <= other[0] and better

    front = pareto_front(found, lower)

    assert sorted(front) == front
    assert not any(beats(one, other) for one in found for other in front)
    for other in set(found) - set(front):
        assert any(beats(one, other) for one in front)


def of_classes(*losses: float) -> list[ClassReport]:
    return [
        ClassReport(
            label=label,
            examples=100,
            recall_before=0.9,
            recall_after=0.9 - loss,
            precision_before=0.9,
            precision_after=0.9,
        )
        for label, loss in enumerate(losses)
    ]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        pytest.param(of_classes(), frozenset(), id="no classes"),
        pytest.param(of_classes(0, -0.1), frozenset(), id="none loses"),
        pytest.param(of_classes(0, 0.1, 0.2), {1, 2}, id="all that lose"),
        pytest.param(of_classes(0.1, 0.4, 0.2, 0.3), {1, 2, 3}, id="no more than three"),
        pytest.param(of_classes(0.1, 0.1, 0.1, 0.1), {0, 1, 2}, id="of equals the first"),
    ],
)
def test_the_classes_that_are_marked(classes: list[ClassReport], expected: frozenset[int]) -> None:
    assert expected == worst_classes(classes)
