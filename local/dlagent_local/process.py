"""Which process is meant: a pid alone may belong to another one by now."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_STATE = 0  # fields of /proc/PID/stat after the command's name
_START_TIME = 19


@dataclass(frozen=True)
class Process:
    """A process by pid and start time (in clock ticks since the machine's start)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """None when there is no such process, or only its unreaped remains."""
        fields = _stat(pid)
        if fields is None or fields[_STATE] == "Z":
            return None
        return cls(pid, int(fields[_START_TIME]))

    @classmethod
    def read(cls, file: Path) -> Process | None:
        """The one that `write` wrote; None when the file is missing or damaged."""
        try:
            data = json.loads(file.read_text())
            return cls(int(data["pid"]), int(data["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, file: Path) -> None:
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(file)

    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Does nothing when it is gone already."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def children(pid: int) -> list[int]:
    """The direct children of a process; none when it is gone."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
