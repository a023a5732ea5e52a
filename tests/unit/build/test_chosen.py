"""An engine that has won and then does not work with the steps around it is no end of a build."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlagent.build import chosen
from dlagent.build.accelerator.whole import NoEngineError
from dlagent.build.chosen import choose
from dlagent.build.machines import ThisProcess
from dlagent.build.progress import Progress


@pytest.mark.parametrize(
    ("refused_at_first", "unfit", "told"),
    [
        pytest.param(None, 0, [None], id="it works"),
        pytest.param("no Resize", 0, ["no Resize"], id="it was refused beforehand"),
        pytest.param(
            None, 1, [None, "fast+tensorrt has won, but no Tile"], id="all is searched without it"
        ),
    ],
)
def test_the_search_knows_why_there_can_be_no_engine(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    refused_at_first: str | None,
    unfit: int,
    told: list[str | None],
) -> None:
    asked: list[str | None] = []
    seconds: list[float] = []
    clock = SimpleNamespace(now=1000.0)
    failures = [NoEngineError("no Tile")] * unfit

    def optimise(*args: Any) -> Any:
        asked.append(args[5])
        seconds.append(args[6])
        clock.now += 595
        return SimpleNamespace(candidate=SimpleNamespace(name="fast+tensorrt"))

    def finished(*args: Any) -> str:
        if failures:
            raise failures.pop()
        return "done"

    monkeypatch.setattr(chosen, "engine_refused", lambda *_: refused_at_first)
    monkeypatch.setattr(chosen, "optimise", optimise)
    monkeypatch.setattr(chosen, "_finished", finished)
    monkeypatch.setattr(chosen, "time", SimpleNamespace(monotonic=lambda: clock.now))
    anything: Any = SimpleNamespace(network=None, front=None, search_seconds=600.0)

    progress = Progress(show=lambda *_: None)
    made: Any = choose(anything, anything, anything, ThisProcess("x"), tmp_path, progress, (1.0,))

    assert "done" == made
    assert told == asked
    assert [600.0, 60.0][: len(told)] == seconds
