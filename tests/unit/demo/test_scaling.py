"""What the demo says of a run under load."""

from pathlib import Path

import pytest
from rich.console import Console

from dlagent.bench.journal import ANSWERED
from dlagent.bench.result import summarise
from dlagent.bench.sender import Limits, Post, Sender
from dlagent.cli.bench_report import Slo
from dlagent_demo import scaling
from dlagent_demo.loaded import Look, Watched
from dlagent_demo.scaling import CURVE, Scaled, _draw, _phases

SLO = Slo(0.5, 99.0)


def watched(slow_of_hundred: int) -> Watched:
    """100 requests, evenly over the whole time, of which some take a second."""
    sender = Sender(Post("http://127.0.0.1:1/", b""), Limits())
    for number in range(100):
        latency = 1.0 if number < slow_of_hundred else 0.1
        sender.journal.add(number / 100 * CURVE.duration_seconds, 0.0, latency, ANSWERED)
    looks = [Look(0.0, 1, 1, ""), Look(60.0, 1, 2, "busy"), Look(70.0, 2, 2, "busy")]
    return Watched(sender, CURVE, looks)


def scaled(run: Watched) -> Scaled:
    return Scaled(
        SLO, summarise(run.sender.journal.requests(), SLO.seconds, CURVE.duration_seconds)
    )


@pytest.mark.parametrize(
    ("slow", "kept"),
    [
        pytest.param(1, True, id="as many in time as promised"),
        pytest.param(2, False, id="one too few"),
    ],
)
def test_the_promise_is_judged_by_what_clients_saw(slow: int, kept: bool) -> None:
    found = scaled(watched(slow))
    assert kept is found.kept
    assert f"{100 - slow}.00 % of 100 requests within 500 ms (promised: 99 %)" == str(found)


def test_phases_have_all_requests_once() -> None:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(_phases(watched(1), SLO))
    rows = [line.split("│") for line in capture.get().splitlines() if "│" in line]
    counts = [int(row[2]) for row in rows if row[2].strip().isdigit()]
    assert len(scaling.PHASES) == len(counts)
    assert 100 == sum(counts)


def test_a_picture_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "PICTURE", tmp_path / "run.png")
    run = watched(1)
    _draw(run, scaled(run))
    assert (tmp_path / "run.png").stat().st_size > 10_000
