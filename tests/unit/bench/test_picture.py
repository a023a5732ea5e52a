"""A picture is drawn of every run, also of one with nothing in it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlagent.bench.journal import ANSWERED, Journal
from dlagent.bench.picture import Note, Replicas, draw
from dlagent.bench.result import timeline


def height(path: Path) -> int:
    with Image.open(path) as opened:
        opened.load()
        assert "PNG" == opened.format
        return opened.height


def run(outcome: str, count: int = 300) -> Journal:
    journal = Journal()
    for due in np.linspace(0, 30, count):
        journal.add(float(due), 0.0, 0.05 + due / 50, outcome)
    return journal


@pytest.mark.parametrize(
    ("journal", "slo_seconds"),
    [
        pytest.param(run(ANSWERED), 0.5, id="an SLO that is missed in the end"),
        pytest.param(run(ANSWERED), None, id="no SLO"),
        pytest.param(run("HTTP 503"), 0.5, id="only failures"),
        pytest.param(run(ANSWERED, 1), 0.5, id="one request"),
        pytest.param(Journal(), 0.5, id="no request"),
    ],
)
def test_any_run_can_be_drawn(tmp_path: Path, journal: Journal, slo_seconds: float | None) -> None:
    path = tmp_path / "run.png"
    draw(path, "fashion-mnist", timeline(journal.requests(), slo_seconds), slo_seconds)
    assert height(path) > 500


def test_failures_replicas_and_notes_have_room_of_their_own(tmp_path: Path) -> None:
    replicas: list[Replicas] = [(0, 1, 1), (5, 1, 2), (12, 2, 2)]
    notes: list[Note] = [(5, "1 -> 2: 30 requests/s come, a replica serves 24 of them")]
    found = []
    for number, (outcome, seen, decided) in enumerate(
        [
            (ANSWERED, [], []),
            (ANSWERED, replicas, []),
            (ANSWERED, replicas, notes),
            ("HTTP 503", replicas, notes),
        ]
    ):
        path = tmp_path / f"{number}.png"
        found_timeline = timeline(run(outcome).requests(), 0.5)
        draw(path, "t", found_timeline, 0.5, "summary", replicas=seen, notes=decided)
        found.append(height(path))
    assert sorted(set(found)) == found
