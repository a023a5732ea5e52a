"""The program is run where Triton is; its end and its words come back, whatever it does."""

from pathlib import Path

import pytest

from dlagent.build.accelerator import trtexec


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def write(folder: Path, text: str) -> None:
    program = folder / "trtexec"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_it_gets_the_arguments_as_they_are(programs: Path) -> None:
    write(programs, 'printf "%s|" "$@"')

    assert (0, b"--onnx=a b|$(id)|") == trtexec.run(["--onnx=a b", "$(id)"], 30)


def test_both_of_its_streams_come_back_with_its_exit_code(programs: Path) -> None:
    write(programs, "echo one; echo two >&2; exit 3")

    assert (3, b"one\ntwo\n") == trtexec.run([], 30)


def test_only_the_end_of_much_comes_back(programs: Path) -> None:
    write(programs, "yes | head -c 200000; echo last")

    _, log = trtexec.run([], 30)

    assert 65_536 == len(log)
    assert log.endswith(b"last\n")


def test_what_takes_too_long_is_ended(programs: Path) -> None:
    write(programs, "exec sleep 60")

    assert (124, b"[E] it was not ready within 0 s") == trtexec.run([], 0.2)


def test_where_there_is_none_it_is_said(programs: Path) -> None:
    code, log = trtexec.run([], 30)

    assert 127 == code
    assert b"there is no trtexec in " in log
    assert b"/usr/src/tensorrt/bin" in log
