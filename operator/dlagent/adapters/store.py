"""The artifact store on a mounted folder: the builder publishes here, the loader copies from here.

What is promised: an artifact is under its key completely or not at all, whatever is killed, full
or cut in between. It is put together under staging/, made durable, read again, and renamed.

All that touches the disk goes through `Disk`, so that tests can make each of its steps fail.
Imports only the standard library and the layout: the loader must start at once.
"""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

from dlagent.domain.artifact.layout import (
    ARTIFACTS,
    MANIFEST,
    STAGING,
    FileEntry,
    ManifestError,
    artifact_path,
    file_table,
    staging_path,
)

_CHUNK_BYTES = 1 << 20
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ArtifactMissingError(Exception):
    """No artifact under this key."""


class ArtifactCorruptError(Exception):
    """The artifact is not what was published; the message names the file."""


def is_out_of_space(error: OSError) -> bool:
    return error.errno in _OUT_OF_SPACE


class Disk:
    """The steps that change a disk. A step either happens or raises OSError."""

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, chunks: Iterator[bytes]) -> None:
        """Create the file with this content; it is on the disk on return."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def sync_folder(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)


class Publication(Enum):
    PUBLISHED = "published"
    ALREADY_THERE = "already there"  # another build of the same key was first


class FolderStore:
    """The store under `root`, as the layout describes it."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()

    def manifest(self, key: str) -> bytes:
        """The bytes of an artifact's manifest.

        Raises:
            ArtifactMissingError: no such artifact.
            ArtifactCorruptError: an artifact without a manifest.
        """
        folder = self._root / artifact_path(key)
        try:
            return b"".join(_chunks(folder / MANIFEST))
        except FileNotFoundError as error:
            if not folder.is_dir():
                raise ArtifactMissingError(f"the store has no artifact {key}") from error
            raise ArtifactCorruptError(f"{MANIFEST} is missing") from error

    def table(self, key: str) -> dict[str, FileEntry]:
        """The files that the manifest names. Raises as `manifest` does."""
        try:
            return file_table(self.manifest(key), key)
        except ManifestError as error:
            raise ArtifactCorruptError(str(error)) from error

    def verify(self, key: str) -> None:
        """Read every file of an artifact. Raises as `manifest` does."""
        for path, entry in self.table(key).items():
            for _ in self.verified_chunks(key, path, entry):
                pass

    def verified_chunks(self, key: str, path: str, entry: FileEntry) -> Iterator[bytes]:
        """The content of a file.

        Raises:
            ArtifactCorruptError: at the end, where the whole was not what the manifest says.
                What was read until then must not be used.
        """
        digest = hashlib.sha256()
        size = 0
        try:
            for chunk in _chunks(self._root / artifact_path(key) / path):
                digest.update(chunk)
                size += len(chunk)
                yield chunk
        except FileNotFoundError as error:
            raise ArtifactCorruptError(f"{path} is missing") from error
        if size != entry.size_bytes:
            raise ArtifactCorruptError(f"{path} has {size} bytes instead of {entry.size_bytes}")
        if digest.hexdigest() != entry.sha256:
            raise ArtifactCorruptError(f"{path} has another SHA-256 than when it was published")

    def publish(self, key: str, files: Mapping[str, bytes]) -> Publication:
        """Make an artifact of these files, its manifest among them, all at once.

        Raises:
            OSError: the disk failed, or is full; nothing was published.
            ArtifactCorruptError: the disk did not keep what was written.
        """
        staging = self._root / staging_path(key, secrets.token_hex(8))
        try:
            self._write_all(staging, files)
            self._read_again(staging, files)
            return self._move_into_place(staging, key)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def set_aside(self, key: str) -> None:
        """Take an artifact that is corrupt out of the way, so that it can be built again.

        Where another build has replaced it meanwhile, the good one is put back.
        """
        aside_key = f"{key}.bad"
        aside = self._root / staging_path(aside_key, secrets.token_hex(8))
        self._disk.make_folder(aside.parent)
        try:
            self._disk.rename(self._root / artifact_path(key), aside)
        except FileNotFoundError:
            return
        if _is_intact(aside, key):
            try:
                self._disk.rename(aside, self._root / artifact_path(key))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        shutil.rmtree(aside, ignore_errors=True)

    def sweep_staging(self, now: float, older_than_seconds: float) -> None:
        """Remove what dead builds left; `now` in seconds since the epoch."""
        try:
            left = list(os.scandir(self._root / STAGING))
        except FileNotFoundError:
            return
        for entry in left:
            try:
                stale = now - entry.stat(follow_symlinks=False).st_mtime > older_than_seconds
            except FileNotFoundError:
                continue  # its build has just finished
            if stale:
                shutil.rmtree(entry.path, ignore_errors=True)

    def _write_all(self, staging: Path, files: Mapping[str, bytes]) -> None:
        folders = {(staging / path).parent for path in files} | {staging}
        for folder in sorted(folders):
            self._disk.make_folder(folder)
        # The manifest last: a folder without one is nothing, also to a reader without rename.
        for path in sorted(files, key=lambda path: (path == MANIFEST, path)):
            self._disk.write(staging / path, _slices(files[path]))
        for folder in _with_parents(folders, staging):
            self._disk.sync_folder(folder)

    def _read_again(self, staging: Path, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            if b"".join(_chunks(staging / path)) != content:
                raise ArtifactCorruptError(f"{path} was not kept as it was written")

    def _move_into_place(self, staging: Path, key: str) -> Publication:
        target = self._root / artifact_path(key)
        self._disk.make_folder(target.parent)
        try:
            self._disk.rename(staging, target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return Publication.ALREADY_THERE
            raise
        self._disk.sync_folder(self._root / ARTIFACTS)
        return Publication.PUBLISHED


def _is_intact(folder: Path, key: str) -> bool:
    try:
        table = file_table(b"".join(_chunks(folder / MANIFEST)), key)
        return all(
            entry.sha256 == hashlib.sha256(b"".join(_chunks(folder / path))).hexdigest()
            for path, entry in table.items()
        )
    except (OSError, ManifestError):
        return False


def _with_parents(folders: set[Path], top: Path) -> list[Path]:
    """Every folder from the deepest to `top`: each holds an entry that must last."""
    found = {top}
    for folder in folders:
        while folder != top:
            found.add(folder)
            folder = folder.parent
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def _slices(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK_BYTES):
        yield content[start : start + _CHUNK_BYTES]


def _chunks(path: Path) -> Iterator[bytes]:
    """The content of a regular file that is no link. Raises FileNotFoundError for all else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, "a link or no folder", str(path)) from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
