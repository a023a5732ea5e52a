"""A pid is only taken for the process that it was written for."""

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from dlagent_local.process import Process, children


def test_this_process_is_alive_and_survives_the_file(tmp_path: Path) -> None:
    me = Process.of(os.getpid())
    assert me is not None

    me.write(tmp_path / "pid")

    assert me == Process.read(tmp_path / "pid")
    assert me.alive()


def test_another_process_with_the_same_pid_is_not_it() -> None:
    me = Process.of(os.getpid())
    assert me is not None

    assert not dataclasses.replace(me, started=me.started - 1).alive()


def test_an_ended_child_is_not_alive_even_before_it_is_reaped() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        process = Process.of(child.pid)
        assert process is not None
        assert child.pid in children(os.getpid())
        assert child.stdin is not None
        child.stdin.close()
        assert process.wait(5.0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="no file"),
        pytest.param("", id="an empty file"),
        pytest.param("12", id="a pid alone"),
        pytest.param('{"pid": "x", "started": 1}', id="no number"),
    ],
)
def test_a_damaged_pid_file_names_no_process(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "pid").write_text(content)

    assert Process.read(tmp_path / "pid") is None
