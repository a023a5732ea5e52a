"""The build's child process: however it ends, something true is told."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dlagent.build.supervise import supervise
from dlagent.domain.artifact.summary import (
    EXIT_TERMINAL,
    EXIT_TRANSIENT,
    FailureReason,
    Summary,
    failed,
    parse_summary,
)

WAS_LOADING = failed(FailureReason.INTERNAL, "load: the build was killed; raise the memory")


def child(path: Path, text: str, end: str) -> list[str]:
    """A program that writes a message and ends so."""
    program = f"""
        import os, pathlib, signal, sys, time
        pathlib.Path({str(path)!r}).write_text({text!r})
        {end}
    """
    return [sys.executable, "-c", textwrap.dedent(program)]


def told(path: Path) -> Summary:
    summary = parse_summary(path.read_text())
    assert summary is not None
    return summary


@pytest.mark.parametrize("code", [0, 3, 4])
def test_a_child_that_ends_by_itself_has_said_all(tmp_path: Path, code: int) -> None:
    path = tmp_path / "message"

    found = supervise(child(path, WAS_LOADING.to_message(), f"sys.exit({code})"), path)

    assert code == found
    assert told(path) == WAS_LOADING


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_of_a_crash_is_told_where_and_by_what(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "message"
    crash = f"import resource; resource.setrlimit(4, (0, 0)); os.kill(os.getpid(), {int(number)})"

    found = supervise(child(path, WAS_LOADING.to_message(), crash), path)

    assert EXIT_TERMINAL == found
    assert FailureReason.INVALID_MODEL == told(path).reason
    assert told(path).message.startswith(f"load: the build's process crashed ({number.name})")


def test_a_crash_before_anything_was_written_is_told_of_too(tmp_path: Path) -> None:
    path = tmp_path / "message"
    crash = [sys.executable, "-c", "import os; os.abort()"]

    supervise(crash, path)

    assert told(path).message.startswith("start: the build's process crashed (SIGABRT)")


def test_a_child_that_was_killed_keeps_its_own_words_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "message"
    kill = f"os.kill(os.getpid(), {int(signal.SIGKILL)})"

    found = supervise(child(path, WAS_LOADING.to_message(), kill), path)

    assert EXIT_TRANSIENT == found
    assert told(path) == WAS_LOADING


def test_the_order_to_end_is_passed_on_to_the_child(tmp_path: Path) -> None:
    path = tmp_path / "message"
    catch = "signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    program = f"""
        import sys
        from pathlib import Path
        from dlagent.build.supervise import supervise
        sys.exit(supervise({child(path, "", catch)!r}, Path({str(path)!r})))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert "up\n" == parent.stdout.readline()

    began = time.monotonic()
    parent.terminate()

    assert 7 == parent.wait(timeout=30)
    assert time.monotonic() - began < 30


def test_nothing_that_takes_long_to_import_is_waited_for_before_the_child_starts() -> None:
    program = "import json, sys, dlagent.build.__main__, dlagent.build.supervise;"
    program += "print(json.dumps(sorted(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)

    assert set() == {"pydantic", "numpy", "yaml", "onnx"} & set(json.loads(done.stdout))
