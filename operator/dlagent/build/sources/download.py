"""Copies a file from a source, hashing and measuring as it comes, and goes on after a cut."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dlagent.build.sources.base import (
    Interrupted,
    RemoteFile,
    Stream,
    Wanted,
    too_large,
    unavailable,
)

RETRIES = 6  # in a row without progress
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_PROGRESS_BYTES = 1 << 20  # fewer are no progress: a server could drip bytes for ever


@dataclass(frozen=True)
class Copied:
    sha256: str
    size_bytes: int


def download(
    remote: RemoteFile,
    target: Path,
    wanted: Wanted,
    wait: Callable[[float], None] = time.sleep,
) -> Copied:
    """Copy the file to `target`; `wait` pauses for so many seconds before another try.

    Raises:
        BuildError: SourceUnavailable, SourceTooLarge, InvalidPath.
        OSError: `target` is full or fails.
    """
    with target.open("wb") as file:
        copy = _Copy(file, wanted)
        failures, mark = 0, 0
        while True:
            try:
                with remote.open(copy.size) as stream:
                    copy.take(stream)
                return Copied(copy.digest.hexdigest(), copy.size)
            except Interrupted as error:
                failures = 1 if copy.size - mark >= _PROGRESS_BYTES else failures + 1
                mark = copy.size
                if failures > RETRIES:
                    raise unavailable(
                        wanted,
                        f"cannot be read: {error} ({RETRIES} retries did not help)",
                        "see whether its server is up and reachable from the build's pod",
                    ) from error
            wait(wait_seconds(failures))


def wait_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row, at least one: twice as long each time."""
    return min(_FIRST_WAIT_SECONDS * 2.0 ** (failures - 1), _LONGEST_WAIT_SECONDS)


class _Copy:
    """What has been written so far."""

    def __init__(self, file: BinaryIO, wanted: Wanted) -> None:
        self._file = file
        self._wanted = wanted
        self.digest = hashlib.sha256()
        self.size = 0

    def take(self, stream: Stream) -> None:
        """Write a stream to its end. Raises as it does, and SourceTooLarge."""
        if stream.offset != self.size:
            self._begin_anew()
        if stream.size is not None:
            self._check(stream.size)
        for chunk in stream.chunks:
            self._check(self.size + len(chunk))
            self.digest.update(chunk)
            self._file.write(chunk)
            self.size += len(chunk)

    def _begin_anew(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.digest = hashlib.sha256()
        self.size = 0

    def _check(self, size: int) -> None:
        if size > self._wanted.max_bytes:
            raise too_large(self._wanted)
