"""The commands that `make environment` writes are programs like those of an installed package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.environment import COMMANDS, write_commands

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_can_start_processes(tmp_path: Path, name: str) -> None:
    write_commands(tmp_path, Path(sys.executable))
    (tmp_path / "day.csv").write_text("minute,requests\n0,60\n1,60\n")
    done = subprocess.run(
        [tmp_path / name, "replay", "day.csv", "--policy", "fixed:n=3", "--jobs", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "operator")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert 0 == done.returncode, done.stderr
    assert "fixed:n=3" in done.stdout
