"""A picture is drawn of every report, says what is in it, and keeps its labels apart."""

import io
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dlagent.domain.artifact.report import CandidateReport, Report, Verdict
from dlagent.report.labels import Box, Label, place
from dlagent.report.picture import NARROW, WIDE, png, svg
from dlagent.report.style import Look
from tests.unit.report import examples

HOSTILE = "$\\frac{</svg><script>alert(1)</script>--> $x_ \x1b[2J\u202e"


def hostile() -> Report:
    """Names and reasons that a renderer could take for something else."""
    made = examples.report()
    changed = [
        each.model_copy(update={"name": f"{number}{HOSTILE}", "reason": HOSTILE})
        for number, each in enumerate(made.candidates)
    ]
    return made.model_copy(update={"candidates": changed, "chosen": changed[1].name})


def only(*names: str) -> Report:
    made = examples.report()
    kept = [each for each in made.candidates if each.name in names]
    return made.model_copy(update={"candidates": kept})


def alike() -> Report:
    """Three candidates of one speed and one accuracy."""
    made = examples.report()
    kept = [
        each.model_copy(update={"timings": examples.timings(1, 2, 3), "select_metric": 0.9})
        for each in made.candidates[:3]
    ]
    return made.model_copy(update={"candidates": kept})


def slow_and_fast() -> Report:
    """The slowest takes a thousand times as long as the fastest."""
    made = examples.report()
    slow = made.candidates[0].model_copy(update={"timings": examples.timings(90, 840, 3000)})
    return made.model_copy(update={"candidates": [slow, *made.candidates[1:]]})


REPORTS = [
    pytest.param(examples.report(), id="a build with a gate"),
    pytest.param(examples.crowded(25), id="25 candidates close together"),
    pytest.param(examples.errors(), id="the largest error as the metric"),
    pytest.param(examples.plain(), id="no data set"),
    pytest.param(only(), id="no candidate at all"),
    pytest.param(only("tensorrt"), id="nothing that was timed"),
    pytest.param(only("int8"), id="the source is missing"),
    pytest.param(alike(), id="all at one point"),
    pytest.param(slow_and_fast(), id="speeds of several powers of ten"),
    pytest.param(hostile(), id="hostile names"),
]


@pytest.mark.parametrize("made", REPORTS)
def test_any_report_can_be_drawn(made: Report) -> None:
    with Image.open(io.BytesIO(png(made))) as opened:
        opened.load()
        assert "PNG" == opened.format
        assert opened.width > opened.height / 2


@pytest.mark.parametrize(
    ("made", "look"),
    [
        pytest.param(examples.crowded(25), NARROW, id="25 candidates on a phone"),
        pytest.param(examples.plain(), NARROW, id="no data set, on a phone"),
        pytest.param(hostile(), WIDE, id="hostile names"),
    ],
)
def test_a_drawing_in_a_page_is_one_element_that_asks_for_nothing(made: Report, look: Look) -> None:
    text = svg(made, look)

    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}
    links = [
        value
        for element in root.iter()
        for name, value in element.attrib.items()
        if name.endswith(("href", "src"))
    ]
    assert [] == [link for link in links if not link.startswith("#")]
    assert [] == [url for url in re.findall(r"url\((.)", text) if url != "#"]


def test_what_is_written_in_it_comes_in_comments_of_the_drawing() -> None:
    """matplotlib notes beside the paths of each text what it says."""
    written = re.findall(r"<!-- (.*?) -->", svg(examples.report(), WIDE))

    assert "int8, chosen: 0.105 ms" in written
    assert "fp32, the source" in written
    assert "the gate: at most 1 point below the source" in written
    assert "prune-70 (86.10 %)" in written  # too low for the axis: at its edge, with the figure
    assert any(line.startswith("Not in the picture: ") for line in written)


def test_each_of_25_candidates_has_its_name() -> None:
    made = examples.crowded(25)
    written = " ".join(re.findall(r"<!-- (.*?) -->", svg(made, WIDE)))

    assert [] == [each.name for each in made.candidates if each.name not in written]


def test_colours_of_ink_and_paper_are_the_pages() -> None:
    text = svg(examples.report(), WIDE)

    assert "var(--ink)" in text
    assert "#30343b" not in text


def test_every_verdict_has_words_and_a_mark() -> None:
    made = examples.report()
    for verdict in Verdict:
        changed: list[CandidateReport] = [
            each.model_copy(update={"verdict": verdict}) for each in made.candidates
        ]
        assert png(made.model_copy(update={"candidates": changed}))


ROOM = Box(0, 0, 400, 300)
labels = st.builds(
    Label,
    x=st.floats(0, 400),
    y=st.floats(0, 300),
    width=st.floats(5, 120),
    height=st.floats(5, 20),
)


@given(st.lists(labels, max_size=30))
def test_no_label_covers_another_or_a_mark_or_leaves_the_room(found: list[Label]) -> None:
    marks = [Box(each.x - 4, each.y - 4, each.x + 4, each.y + 4) for each in found]

    places = [each for each in place(found, ROOM, marks) if each is not None]

    for number, one in enumerate(places):
        assert one.box.inside(ROOM)
        assert not any(one.box.overlaps(mark) for mark in marks)
        assert not any(one.box.overlaps(other.box) for other in places[number + 1 :])


def test_a_label_without_room_is_left_out() -> None:
    assert [None] == place([Label(10, 10, 500, 10)], ROOM, [])


def test_a_label_far_from_its_point_has_a_line_that_crosses_nothing() -> None:
    point = Label(100, 100, 60, 10)
    wall = Box(105, 0, 175, 300)  # near places on the right are taken

    (found,) = place([point], ROOM, [wall])

    assert found is not None
    assert not found.far or not wall.is_met(found.lead(point))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(((0, 0), (10, 10)), True, id="through it"),
        pytest.param(((0, 5), (10, 5)), True, id="level"),
        pytest.param(((5, 0), (5, 10)), True, id="upright"),
        pytest.param(((5, 5), (5, 5)), True, id="a point in it"),
        pytest.param(((0, 0), (3, 3)), False, id="it ends before"),
        pytest.param(((0, 9), (10, 9)), False, id="above"),
        pytest.param(((9, 0), (9, 10)), False, id="beside"),
        pytest.param(((0, 8), (8, 0)), True, id="it touches a corner"),
        pytest.param(((0, 7), (7, 0)), False, id="it passes a corner"),
    ],
)
def test_whether_a_line_meets_a_box(
    line: tuple[tuple[float, float], tuple[float, float]], expected: bool
) -> None:
    assert expected is Box(4, 4, 6, 6).is_met(line)
