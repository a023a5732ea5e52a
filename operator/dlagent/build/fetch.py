"""Stage 1: the source file, copied to where only this build can change it, and its digest.

What is checked is what is used: the bytes that were hashed are those that later stages read.
"""

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from dlagent.adapters.store import is_out_of_space
from dlagent.build.failure import BuildError
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason

PVC_SCHEME = "pvc://"
FILE_SCHEME = "file://"  # never in the cluster

_CHUNK_BYTES = 1 << 20
_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True)
class Source:
    path: Path
    sha256: str
    size_bytes: int


def fetch(request: BuildRequest, sources: Path, scratch: Path, local_files: bool) -> Source:
    """Copy the source into `scratch`; `sources` holds a folder for each mounted claim.

    `local_files` says whether file:// is a source: only where a person has named the file.

    Raises:
        BuildError: InvalidPath, SourceUnavailable, SourceTooLarge, DigestMismatch.
        OSError: `scratch` is full or fails.
    """
    if local_files and request.source_uri.startswith(FILE_SCHEME):
        found = Path(request.source_uri.removeprefix(FILE_SCHEME))
    else:
        found = resolve(request.source_uri, sources)
    copy = scratch / "source"
    with os.fdopen(_open_regular(found, request.source_uri), "rb") as file:
        digest, size = _copy(file.fileno(), copy, request)
    if request.source_sha256 is not None and digest != request.source_sha256.lower():
        raise BuildError(
            FailureReason.DIGEST_MISMATCH,
            f"{request.source_uri} has SHA-256 {digest}, but {request.source_sha256} is asked for;"
            " set spec.model.source.sha256 to the first if the new content is wanted, or put the"
            " old content back",
        )
    return Source(copy, digest, size)


def resolve(uri: str, sources: Path) -> Path:
    """The file that a pvc:// URI means, links followed, never outside of its claim.

    Raises:
        BuildError: InvalidPath, SourceUnavailable.
    """
    claim, separator, inside = uri.removeprefix(PVC_SCHEME).partition("/")
    if not uri.startswith(PVC_SCHEME) or not separator or not _CLAIM.fullmatch(claim):
        raise _invalid(uri, "it is not of the form pvc://CLAIM/PATH")
    parts = inside.split("/")
    if ".." in parts or "\0" in inside or not any(parts):
        raise _invalid(uri, "the path must name a file inside of the claim, without '..'")
    top = (sources / claim).resolve()
    if not top.is_dir():
        raise BuildError(
            FailureReason.SOURCE_UNAVAILABLE,
            f"the claim {claim} is not mounted; check that a PersistentVolumeClaim of this name"
            " is in the agent's namespace",
        )
    try:
        path = (top / inside.lstrip("/")).resolve()
    except (OSError, RuntimeError) as error:
        raise _invalid(uri, "its links lead in a circle") from error
    if not path.is_relative_to(top):
        raise _invalid(uri, "a symbolic link leads out of the claim")
    return path


def _open_regular(path: Path, uri: str) -> int:
    try:
        # Without O_NONBLOCK a named pipe would hold the build up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _invalid(uri, "it is a symbolic link that changed meanwhile") from error
        raise _unavailable(uri, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _invalid(uri, "it is not a regular file")
    return descriptor


def _copy(descriptor: int, target: Path, request: BuildRequest) -> tuple[str, int]:
    limit = request.max_source_bytes
    _check_size(os.fstat(descriptor).st_size, limit, request.source_uri)
    digest = hashlib.sha256()
    size = 0
    with target.open("wb") as out:
        while chunk := _read(descriptor, request.source_uri):
            size += len(chunk)
            _check_size(size, limit, request.source_uri)
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest(), size


def _read(descriptor: int, uri: str) -> bytes:
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError as error:
        raise _unavailable(uri, error) from error


def _check_size(size: int, limit: int, uri: str) -> None:
    if size > limit:
        raise BuildError(
            FailureReason.SOURCE_TOO_LARGE,
            f"{uri} is larger than the limit of {limit} bytes; use a smaller model, or raise"
            " builder.maxSourceBytes in the operator's settings and then set the annotation"
            " dlagent.io/retry on the agent",
        )


def _invalid(uri: str, why: str) -> BuildError:
    return BuildError(FailureReason.INVALID_PATH, f"{uri}: {why}; correct spec.model.source.uri")


def _unavailable(uri: str, error: OSError) -> BuildError:
    if is_out_of_space(error):
        raise error
    return BuildError(
        FailureReason.SOURCE_UNAVAILABLE,
        f"{uri} cannot be read: {error.strerror}; put the file there, or correct"
        " spec.model.source.uri",
    )
