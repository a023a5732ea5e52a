"""Downloads that are kept in the store's folder, by the SHA-256 of their content.

    <root>/downloads/<sha256>         a whole file
    <root>/downloads/.<random>        one that is being written

A file is verified each time it is used. What was not used for the longest time goes first.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dlagent.adapters.store import Disk, is_out_of_space
from dlagent.build.sources.base import CHUNK_BYTES
from dlagent.domain.artifact.layout import DOWNLOADS

_STALE_SECONDS = 24 * 3600


class Downloads:
    """The cache below a store's root, of at most `limit_bytes`."""

    def __init__(self, root: Path, limit_bytes: int, disk: Disk | None = None) -> None:
        self._folder = root / DOWNLOADS
        self._limit_bytes = limit_bytes
        self._disk = disk or Disk()

    def take(self, sha256: str, target: Path) -> int | None:
        """Copy a file to `target`; its size, or None where it is not there or was damaged.

        Raises:
            OSError: `target` is full or fails.
        """
        kept = self._folder / sha256
        digest = hashlib.sha256()
        size = 0
        try:
            chunks = _chunks(kept)
            with target.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            return None
        if digest.hexdigest() != sha256:
            kept.unlink(missing_ok=True)
            return None
        with suppress(FileNotFoundError):
            os.utime(kept)  # it is in use
        return size

    def keep(self, sha256: str, source: Path) -> None:
        """Copy a verified file into the cache, where it has room; else do nothing.

        Raises:
            OSError: the disk fails otherwise than by being full.
        """
        size = source.stat().st_size
        kept = self._folder / sha256
        if size > self._limit_bytes or kept.exists():
            return
        part = self._folder / f".{secrets.token_hex(8)}"
        try:
            self._disk.make_folder(self._folder)
            self._make_room(size)
            self._disk.write(part, _chunks(source))
            self._disk.rename(part, kept)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            if not is_out_of_space(error):  # then it is not kept, and nothing is lost
                raise
        finally:
            part.unlink(missing_ok=True)

    def sweep(self, now: float) -> None:
        """Remove what dead builds left, and what is more than the limit; `now` since the epoch."""
        for entry in self._entries():
            with suppress(FileNotFoundError):
                partial = entry.name.startswith(".")
                if partial and now - entry.stat().st_mtime > _STALE_SECONDS:
                    entry.unlink()
        self._make_room(0)

    def _make_room(self, size: int) -> None:
        """Remove the files that were not used for the longest time until `size` more fit."""
        kept = []
        for entry in self._entries():
            with suppress(FileNotFoundError):
                if not entry.name.startswith("."):
                    stat = entry.stat()
                    kept.append((stat.st_mtime, stat.st_size, entry))
        total = size + sum(item[1] for item in kept)
        for _, freed, entry in sorted(kept):
            if total <= self._limit_bytes:
                return
            entry.unlink(missing_ok=True)
            total -= freed

    def _entries(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except FileNotFoundError:
            return []


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
