"""The Job's program as a process: its message, exit code and progress, also when it is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from dlagent.build.__main__ import main
from dlagent.build.progress import STAGES
from dlagent.domain.artifact.summary import Summary, parse_summary


def arguments(root: Path, command: str = "work") -> list[str]:
    return [
        *(command, "--sources", str(root / "sources"), "--store", str(root / "store")),
        *("--termination-log", str(root / "message")),
    ]


def message(root: Path) -> Summary:
    summary = parse_summary((root / "message").read_text())
    assert summary is not None
    return summary


def test_a_build_ends_with_its_summary_as_the_message(
    workshop: Any,
    double: Callable[..., ModelProto],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workshop.put(double())
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", workshop.request().model_dump_json(by_alias=True))

    assert 0 == main(arguments(tmp_path))

    assert "Published" == message(tmp_path).outcome
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert [stage for stage in STAGES if stage != "data"] == stages
    assert all(line["of"] == len(STAGES) for line in lines)
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert "reading pvc://models/net.onnx" == lines[0]["message"]


def test_the_job_is_the_same_in_a_child(
    workshop: Any,
    double: Callable[..., ModelProto],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workshop.put(double())
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", workshop.request().model_dump_json(by_alias=True))

    assert 0 == main(arguments(tmp_path, "job"))

    assert "Published" == message(tmp_path).outcome


@pytest.mark.parametrize(
    ("request_", "reason", "code"),
    [
        pytest.param("", "Internal", 4, id="no request"),
        pytest.param("{}", "Internal", 4, id="an empty request"),
        pytest.param(None, "SourceUnavailable", 4, id="no source"),
    ],
)
def test_a_failure_ends_with_a_message_and_an_exit_code(
    workshop: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_: str | None,
    reason: str,
    code: int,
) -> None:
    text = workshop.request().model_dump_json() if request_ is None else request_
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", text)

    assert code == main(arguments(tmp_path))

    assert ("Failed", reason) == (message(tmp_path).outcome, message(tmp_path).reason)


def test_a_killed_build_has_said_where_it_was(workshop: Any, tmp_path: Path) -> None:
    workshop.put(b"")
    program = (
        "import os, signal, sys;"
        "import dlagent.build.__main__ as program, dlagent.build.load as load;"
        "load.detect = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "program.main(sys.argv[1:])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *arguments(tmp_path)],
        env={**os.environ, "DLAGENT_BUILD_REQUEST": workshop.request().model_dump_json()},
        capture_output=True,
        check=False,
    )

    assert -signal.SIGKILL == done.returncode
    summary = message(tmp_path)
    assert ("Failed", "Internal") == (summary.outcome, summary.reason)
    assert summary.message.startswith("load: the build was killed; raise spec.build.resources")


def test_onnx_sources_never_wait_for_torch(
    workshop: Any, double: Callable[..., ModelProto], tmp_path: Path
) -> None:
    workshop.put(double())
    program = (
        "import sys; from dlagent.build.__main__ import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 'torch' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *arguments(tmp_path)],
        env={**os.environ, "DLAGENT_BUILD_REQUEST": workshop.request().model_dump_json()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr


def test_two_builds_of_a_key_at_once_publish_once(
    workshop: Any, double: Callable[..., ModelProto], tmp_path: Path
) -> None:
    workshop.put(double())
    environment = {**os.environ, "DLAGENT_BUILD_REQUEST": workshop.request().model_dump_json()}
    command = [sys.executable, "-m", "dlagent.build", *arguments(tmp_path)]

    builds = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    codes = [build.wait(60) for build in builds]

    assert [0, 0] == codes
    assert 1 == len(list((tmp_path / "store/artifacts").iterdir()))
    assert [] == list((tmp_path / "store/staging").iterdir())
