"""pvc://CLAIM/PATH, a mounted volume; and file://, where a person has named the file."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlagent.build.failure import BuildError
from dlagent.build.sources.base import CHUNK_BYTES, Access, Stream, Wanted, invalid, unavailable
from dlagent.domain.artifact.summary import FailureReason

PVC_SCHEME = "pvc://"
FILE_SCHEME = "file://"  # never in the cluster

_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class FolderFile:
    """A file on a mounted volume or on this machine."""

    def __init__(self, wanted: Wanted, access: Access) -> None:
        """Raises BuildError: InvalidPath, SourceUnavailable."""
        self._wanted = wanted
        if access.local_files and wanted.uri.startswith(FILE_SCHEME):
            self._path = Path(wanted.uri.removeprefix(FILE_SCHEME))
        else:
            self._path = _resolve(wanted, access.claims)

    @contextmanager
    def open(self, offset: int) -> Iterator[Stream]:
        del offset  # reading from a volume is not interrupted: it works or it fails
        with os.fdopen(_open_regular(self._path, self._wanted), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            yield Stream(0, size, _chunks(file.fileno(), self._wanted))


def _resolve(wanted: Wanted, claims: Path) -> Path:
    """The file that a pvc:// URI means, links followed, never outside of its claim."""
    claim, separator, inside = wanted.uri.removeprefix(PVC_SCHEME).partition("/")
    if not wanted.uri.startswith(PVC_SCHEME) or not separator or not _CLAIM.fullmatch(claim):
        raise invalid(wanted, "it is not of the form pvc://CLAIM/PATH")
    parts = inside.split("/")
    if ".." in parts or "\0" in inside or not any(parts):
        raise invalid(wanted, "the path must name a file inside of the claim, without '..'")
    top = (claims / claim).resolve()
    if not top.is_dir():
        raise BuildError(
            FailureReason.SOURCE_UNAVAILABLE,
            f"the claim {claim} is not mounted; check that a PersistentVolumeClaim of this name"
            " is in the agent's namespace",
        )
    try:
        path = (top / inside.lstrip("/")).resolve()
    except (OSError, RuntimeError) as error:
        raise invalid(wanted, "its links lead in a circle") from error
    if not path.is_relative_to(top):
        raise invalid(wanted, "a symbolic link leads out of the claim")
    return path


def _open_regular(path: Path, wanted: Wanted) -> int:
    try:
        # Without O_NONBLOCK a named pipe would hold the build up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise invalid(wanted, "it is a symbolic link that changed meanwhile") from error
        raise _unreadable(wanted, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise invalid(wanted, "it is not a regular file")
    return descriptor


def _chunks(descriptor: int, wanted: Wanted) -> Iterator[bytes]:
    while chunk := _read(descriptor, wanted):
        yield chunk


def _read(descriptor: int, wanted: Wanted) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except OSError as error:
        raise _unreadable(wanted, error) from error


def _unreadable(wanted: Wanted, error: OSError) -> BuildError:
    return unavailable(wanted, f"cannot be read: {error.strerror}")
