"""What each scheme offers to the download, and how it says that it cannot.

`registry` knows the schemes, `download` drives one of these.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlagent.build.failure import BuildError
from dlagent.domain.artifact.summary import FailureReason

CHUNK_BYTES = 1 << 20


class Interrupted(Exception):
    """The transfer stopped half-way, or the server has no time: another try may do better."""


@dataclass(frozen=True)
class Wanted:
    """A file that is asked for. `field` is the field of the spec that names it, for messages."""

    uri: str
    sha256: str | None
    max_bytes: int
    field: str = "spec.model.source"


@dataclass(frozen=True)
class Access:
    """By what sources are reached.

    `claims` holds a folder for each mounted claim, `credentials` the files of the Secret (its other
    values are in the environment). `allowed_hosts` are patterns of hosts whose addresses may be
    private. `local_files` says whether file:// is a source: only where a person has named the file.
    """

    claims: Path
    credentials: Path
    allowed_hosts: tuple[str, ...] = ()
    local_files: bool = False


@dataclass(frozen=True)
class Stream:
    """A file's bytes from `offset` on; `size` is that of the whole file, None where unknown.

    Reading `chunks` raises Interrupted where they end too early.
    """

    offset: int
    size: int | None
    chunks: Iterator[bytes]


class RemoteFile(Protocol):
    """One file at a source."""

    def open(self, offset: int) -> AbstractContextManager[Stream]:
        """The file from `offset` on, or from 0 where that would not continue the same content.

        Raises:
            Interrupted: another try may do better.
            BuildError: it would not; SourceUnavailable, InvalidPath.
        """
        ...


def unavailable(wanted: Wanted, why: str, remedy: str | None = None) -> BuildError:
    """The source does not give the file; `why` is the end of a sentence that begins with it."""
    remedy = remedy or f"put the file there, or correct {wanted.field}.uri"
    return BuildError(FailureReason.SOURCE_UNAVAILABLE, f"{wanted.uri} {why}; {remedy}")


def not_allowed(wanted: Wanted, why: str) -> BuildError:
    """The source wants credentials that it was not given."""
    return unavailable(
        wanted,
        why,
        f"name a Secret with credentials that may read it in {wanted.field}.secretRef",
    )


def invalid(wanted: Wanted, why: str) -> BuildError:
    return BuildError(
        FailureReason.INVALID_PATH, f"{wanted.uri}: {why}; correct {wanted.field}.uri"
    )


def too_large(wanted: Wanted) -> BuildError:
    return BuildError(
        FailureReason.SOURCE_TOO_LARGE,
        f"{wanted.uri} is larger than the limit of {wanted.max_bytes} bytes; use a smaller model,"
        " or raise builder.maxSourceBytes in the operator's settings and then set the annotation"
        " dlagent.io/retry on the agent",
    )
