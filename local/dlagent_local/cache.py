"""The cache of what is built or downloaded: `<what>-<hash of its inputs>`, made once.

A result is made in a temporary folder and renamed, so that one which exists is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_UNUSED_SECONDS = 14 * 24 * 3600
_WAITING = "waiting for another process that makes it"

# What a recipe tells while it works: what it does, and how much is done (0 to 1, None: unknown).
Report = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Recipe:
    """How to make one entry. `make` fills an empty folder; `key` is the hash of all inputs."""

    what: str
    key: str
    make: Callable[[Path, Report], None]
    estimate: str  # how long it takes the first time, for people

    def path(self, cache: Path) -> Path:
        return cache / f"{self.what}-{self.key}"


def ensure(recipe: Recipe, cache: Path, report: Report) -> Path:
    """The folder of the recipe's result, made now when it is not there.

    Two processes that want the same one wait for each other. Raises what `make` raises, and then
    leaves nothing behind.
    """
    target = recipe.path(cache)
    if target.is_dir():
        os.utime(target)  # it is in use: `_prune` looks at this
        return target
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(cache / f".{recipe.what}.lock", lambda: report(_WAITING, None)):
        if not target.is_dir():
            for left in cache.glob(f".{recipe.what}-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=f".{recipe.what}-", dir=cache))
            work.chmod(0o755)
            try:
                recipe.make(work, report)
                work.rename(target)
                _prune(cache, recipe.what)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
    return target


def digest(parts: Iterable[str | bytes]) -> str:
    """16 hex digits of a hash over the parts; where one ends and the next starts matters."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()[:16]


def files_digest(folder: Path, suffixes: tuple[str, ...]) -> str:
    """A digest of the names and contents of all files below with one of the suffixes.

    Tests are left out: they are no part of what is built.
    """
    parts: list[str | bytes] = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name.endswith(suffixes) and not file.name.endswith("_test.go"):
            parts += [file.relative_to(folder).as_posix(), file.read_bytes()]
    return digest(parts)


@contextmanager
def locked(file: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock between processes, after `on_wait` where another one holds it."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prune(cache: Path, what: str) -> None:
    """Remove results of other inputs that nobody used for two weeks."""
    for entry in cache.glob(f"{what}-*"):
        if time.time() - entry.stat().st_mtime > _UNUSED_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)
