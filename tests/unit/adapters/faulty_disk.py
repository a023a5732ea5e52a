"""A disk of which one step fails, for the tests of all that writes files.

Used by the tests of the store and of the loader: they count the steps of a whole run, then let
each one fail in a run of its own, by an error or by a SIGKILL of the process that runs it.
"""

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from dlagent.adapters.store import Disk


class FaultyDisk(Disk):
    """Step number `at` fails: before something happens, half-way, before its fsync, or after it.

    `removals` says whether steps of removing count: those need no space, but can be killed.
    """

    def __init__(self, at: int, fault: Callable[[], None], removals: bool = True) -> None:
        self._at = at
        self._fault = fault
        self._removals = removals
        self.steps = 0

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)
        self._step()

    def write(self, path: Path, chunks: Iterator[bytes]) -> None:
        self._step()
        super().write(path, self._halves(chunks))
        self._step()

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)
        self._step()

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)
        self._step()

    def touch(self, path: Path) -> None:
        self._step()
        super().touch(path)
        self._step()

    def remove(self, path: Path) -> None:
        if not self._removals:
            super().remove(path)
            return
        self._step()
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            file.unlink()
            self._step()
        super().remove(path)
        self._step()

    def _halves(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk[: len(chunk) // 2]
            self._step()
            yield chunk[len(chunk) // 2 :]
        self._step()

    def _step(self) -> None:
        if self.steps == self._at:
            self._fault()
        self.steps += 1


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def steps_of(action: Callable[[Disk], object], removals: bool = True) -> int:
    """How many steps an action has that nothing disturbs."""
    disk = FaultyDisk(-1, full, removals)
    action(disk)
    return disk.steps


def killed_at(step: int, action: Callable[[Disk], object]) -> None:
    """Run the action in a process of its own, which is killed at that step."""
    child = multiprocessing.get_context("fork").Process(
        target=action, args=(FaultyDisk(step, kill),)
    )
    child.start()
    child.join(30)
    assert -signal.SIGKILL == child.exitcode
