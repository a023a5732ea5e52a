"""Stage 1: the source file, copied to where only this build can change it, and its digest.

What is checked is what is used: the bytes that were hashed are those that later stages read.
"""

from dataclasses import dataclass
from pathlib import Path

from dlagent.api.types import Scheme
from dlagent.build.failure import BuildError
from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.cache import Downloads
from dlagent.build.sources.download import Copied, download
from dlagent.build.sources.registry import remote_file, scheme_of
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason

_ON_A_DISK = {Scheme.PVC, "file"}


@dataclass(frozen=True)
class Source:
    """The source's copy. `sha256` is the digest that an agent gives in spec.model.source."""

    path: Path
    sha256: str
    size_bytes: int


def wanted_source(request: BuildRequest) -> Wanted:
    """The model file that a request asks for."""
    return Wanted(request.source_uri, request.source_sha256, request.max_source_bytes)


def fetch(wanted: Wanted, access: Access, scratch: Path, cache: Downloads | None = None) -> Source:
    """Copy the file to `scratch`/source.

    Where its digest is given and it is in the cache, nothing is downloaded.

    Raises:
        BuildError: InvalidPath, SourceUnavailable, SourceTooLarge, DigestMismatch.
        OSError: `scratch` or the cache is full or fails.
    """
    target = scratch / "source"
    copied = _copied(wanted, access, target, cache)
    if wanted.sha256 is not None and copied.sha256 != wanted.sha256.lower():
        raise BuildError(
            FailureReason.DIGEST_MISMATCH,
            f"{wanted.uri} has SHA-256 {copied.sha256}, but {wanted.sha256} is asked for; set"
            f" {wanted.field}.sha256 to the first if the new content is wanted, or put the old"
            " content back",
        )
    if cache is not None and scheme_of(wanted.uri) not in _ON_A_DISK:
        cache.keep(copied.sha256, target)
    return Source(target, copied.sha256, copied.size_bytes)


def _copied(wanted: Wanted, access: Access, target: Path, cache: Downloads | None) -> Copied:
    if cache is not None and wanted.sha256 is not None:
        digest = wanted.sha256.lower()
        size = cache.take(digest, target)
        if size is not None:
            return Copied(digest, size)
    return download(remote_file(wanted, access), target, wanted)
