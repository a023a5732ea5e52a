"""Where artifacts are kept: what every store promises, and the store on a mounted folder.

What is promised: an artifact is under its key completely or not at all, whatever is killed, full
or cut in between. In a folder it is put together under staging/, made durable, read again, and
renamed. The builder publishes here, the loader copies from here, a sweep removes what is unused.

All that changes the disk goes through `Disk`, so that tests can make each of its steps fail.
Imports only the standard library and the layout: the loader must start at once. The store in an
object store (`object_store`) is imported when a location asks for it.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Protocol

from dlagent.domain.artifact.layout import (
    ARTIFACTS,
    MANIFEST,
    MANIFEST_DIGEST,
    STAGING,
    FileEntry,
    ManifestError,
    StoredArtifact,
    artifact_path,
    file_table,
    manifest_digest,
    staging_path,
)

_CHUNK_BYTES = 1 << 20
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OCCUPIED = {errno.ENOTEMPTY, errno.EEXIST}


class ArtifactMissingError(Exception):
    """No artifact under this key."""


class ArtifactCorruptError(Exception):
    """The artifact is not what was published; the message names the file."""


def is_out_of_space(error: OSError) -> bool:
    return error.errno in _OUT_OF_SPACE


class Publication(Enum):
    PUBLISHED = "published"
    ALREADY_THERE = "already there"  # another build of the same key was first


class ArtifactStore(Protocol):
    """A namespace's store. Every method raises OSError where the store fails."""

    def manifest(self, key: str) -> bytes:
        """The bytes of an artifact's manifest, which are those that were published.

        Raises:
            ArtifactMissingError: no such artifact.
            ArtifactCorruptError: an artifact without a manifest, or with another one.
        """
        ...

    def table(self, key: str) -> dict[str, FileEntry]:
        """The files that the manifest names. Raises as `manifest` does."""
        ...

    def verify(self, key: str) -> None:
        """Read every file of an artifact. Raises as `manifest` does."""
        ...

    def verified_chunks(self, key: str, path: str, entry: FileEntry) -> Iterator[bytes]:
        """The content of a file.

        Raises:
            ArtifactCorruptError: at the end, where the whole was not what the manifest says.
                What was read until then must not be used.
        """
        ...

    def publish(self, key: str, files: Mapping[str, bytes]) -> Publication:
        """Make an artifact of these files, its manifest among them, all at once.

        Raises:
            OSError: the store failed, or is full; nothing was published.
            ArtifactCorruptError: the store did not keep what was written.
        """
        ...

    def set_aside(self, key: str) -> None:
        """Take an artifact that is corrupt out of the way, so that it can be built again."""
        ...

    def touch(self, key: str) -> None:
        """Make an artifact young again, so that no sweep takes it. Raises ArtifactMissingError."""
        ...

    def artifacts(self) -> list[StoredArtifact]:
        """All that is under a key."""
        ...

    def remove(self, key: str, now: float, older_than_seconds: float) -> bool:
        """Remove an artifact, unless it has become young meanwhile; whether it is gone."""
        ...

    def sweep_staging(self, now: float, older_than_seconds: float, dry_run: bool = False) -> int:
        """Remove what dead builds left, and count it; `now` in seconds since the epoch."""
        ...


def open_store(location: str) -> ArtifactStore:
    """The store at a URL, or in a folder.

    Raises:
        OSError: the URL is none of an object store, or this machine cannot read such.
    """
    if "://" not in location:
        return FolderStore(Path(location))
    from dlagent.adapters.object_store import ObjectStore

    return ObjectStore.at(location)


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

    def touch(self, path: Path) -> None:
        os.utime(path)

    def remove(self, path: Path) -> None:
        """The folder with all that is in it, as far as that can be."""
        shutil.rmtree(path, ignore_errors=True)


class FolderStore:
    """The store under `root`, as the layout describes it; see `ArtifactStore`."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()

    def manifest(self, key: str) -> bytes:
        folder = self._folder(key)
        try:
            return _manifest(folder)
        except FileNotFoundError as error:
            if not folder.is_dir():
                raise ArtifactMissingError(f"the store has no artifact {key}") from error
            name = Path(error.filename).name
            raise ArtifactCorruptError(f"{name} is missing") from error

    def table(self, key: str) -> dict[str, FileEntry]:
        return parse_table(self.manifest(key), key)

    def verify(self, key: str) -> None:
        verify_files(self, key)

    def verified_chunks(self, key: str, path: str, entry: FileEntry) -> Iterator[bytes]:
        return checked(path, entry, _chunks(self._folder(key) / path))

    def publish(self, key: str, files: Mapping[str, bytes]) -> Publication:
        staging = self._root / staging_path(key, secrets.token_hex(8))
        whole = {**files, MANIFEST_DIGEST: manifest_digest(files[MANIFEST])}
        try:
            self._write_all(staging, whole)
            _read_again(staging, whole)
            return self._move_into_place(staging, key)
        finally:
            self._disk.remove(staging)

    def set_aside(self, key: str) -> None:
        """Where another build has replaced it meanwhile, the good one is put back."""
        self._take_away(key, lambda aside: not _is_intact(aside, key))

    def touch(self, key: str) -> None:
        try:
            self._disk.touch(self._folder(key))
        except FileNotFoundError as error:
            raise ArtifactMissingError(f"the store has no artifact {key}") from error

    def artifacts(self) -> list[StoredArtifact]:
        found = []
        for entry in _entries(self._root / ARTIFACTS):
            with contextlib.suppress(FileNotFoundError):  # it is being set aside
                used_at = entry.stat(follow_symlinks=False).st_mtime
                found.append(StoredArtifact(entry.name, used_at, _size_bytes(Path(entry.path))))
        return sorted(found, key=lambda item: item.key)

    def remove(self, key: str, now: float, older_than_seconds: float) -> bool:
        """Its age is judged once it is out of reach: a build that touched it before keeps it, and
        one that comes after does not find it."""

        def is_old(aside: Path) -> bool:
            try:
                return now - aside.stat().st_mtime > older_than_seconds
            except FileNotFoundError:  # another sweep took it for what a dead build left
                return True

        return self._take_away(key, is_old)

    def sweep_staging(self, now: float, older_than_seconds: float, dry_run: bool = False) -> int:
        swept = 0
        for entry in _entries(self._root / STAGING):
            try:
                stale = now - entry.stat(follow_symlinks=False).st_mtime > older_than_seconds
            except FileNotFoundError:
                continue  # its build has just finished
            if stale and not dry_run:
                self._disk.remove(Path(entry.path))
            swept += stale
        return swept

    def _folder(self, key: str) -> Path:
        return self._root / artifact_path(key)

    def _take_away(self, key: str, is_unwanted: Callable[[Path], bool]) -> bool:
        """Rename an artifact out of reach, look at it, and remove it or put it back."""
        aside = self._root / staging_path(f"{key}.aside", secrets.token_hex(8))
        self._disk.make_folder(aside.parent)
        try:
            self._disk.rename(self._folder(key), aside)
        except FileNotFoundError:
            return False
        gone = is_unwanted(aside)
        if not gone:
            try:
                self._disk.rename(aside, self._folder(key))
            except OSError as error:
                if error.errno not in _OCCUPIED:
                    raise
        self._disk.remove(aside)
        return gone

    def _write_all(self, staging: Path, files: Mapping[str, bytes]) -> None:
        folders = {(staging / path).parent for path in files} | {staging}
        for folder in sorted(folders):
            self._disk.make_folder(folder)
        # The manifest last: a folder without one is nothing, also to a reader without rename.
        for path in sorted(files, key=lambda path: (path == MANIFEST, path)):
            self._disk.write(staging / path, _slices(files[path]))
        for folder in _with_parents(folders, staging):
            self._disk.sync_folder(folder)

    def _move_into_place(self, staging: Path, key: str) -> Publication:
        target = self._folder(key)
        self._disk.make_folder(target.parent)
        try:
            self._disk.rename(staging, target)
        except OSError as error:
            if error.errno in _OCCUPIED:
                return Publication.ALREADY_THERE
            raise
        self._disk.sync_folder(self._root / ARTIFACTS)
        return Publication.PUBLISHED


def parse_table(manifest: bytes, key: str) -> dict[str, FileEntry]:
    """As `file_table`, for what a store holds. Raises ArtifactCorruptError."""
    try:
        return file_table(manifest, key)
    except ManifestError as error:
        raise ArtifactCorruptError(str(error)) from error


def verify_files(store: ArtifactStore, key: str) -> None:
    """Read every file that the manifest names. Raises as `ArtifactStore.verify`."""
    for path, entry in store.table(key).items():
        for _ in store.verified_chunks(key, path, entry):
            pass


def checked(path: str, entry: FileEntry, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, of which the whole must be what `entry` says. Raises ArtifactCorruptError."""
    digest = hashlib.sha256()
    size = 0
    try:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    except FileNotFoundError as error:
        raise ArtifactCorruptError(f"{path} is missing") from error
    if size != entry.size_bytes:
        raise ArtifactCorruptError(f"{path} has {size} bytes instead of {entry.size_bytes}")
    if digest.hexdigest() != entry.sha256:
        raise ArtifactCorruptError(f"{path} has another SHA-256 than when it was published")


def _manifest(folder: Path) -> bytes:
    """Raises FileNotFoundError, ArtifactCorruptError."""
    manifest = b"".join(_chunks(folder / MANIFEST))
    if b"".join(_chunks(folder / MANIFEST_DIGEST)) != manifest_digest(manifest):
        raise ArtifactCorruptError(f"{MANIFEST} is not the one that {MANIFEST_DIGEST} is of")
    return manifest


def _is_intact(folder: Path, key: str) -> bool:
    try:
        for path, entry in file_table(_manifest(folder), key).items():
            for _ in checked(path, entry, _chunks(folder / path)):
                pass
    except (OSError, ManifestError, ArtifactCorruptError):
        return False
    return True


def _read_again(staging: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        if b"".join(_chunks(staging / path)) != content:
            raise ArtifactCorruptError(f"{path} was not kept as it was written")


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """The folders in a folder, which need not be there."""
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _size_bytes(folder: Path) -> int:
    files = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files)


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
