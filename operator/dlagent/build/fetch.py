"""Stage 1: the source's files, copied to where only this build can change them, and their digest.

What is checked is what is used: the bytes that were hashed are those that later stages read.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from dlagent.api.types import ModelFormat, Scheme
from dlagent.build import external_names
from dlagent.build.failure import BuildError
from dlagent.build.sources.base import Access, Wanted, too_large
from dlagent.build.sources.cache import Downloads
from dlagent.build.sources.download import Copied, download
from dlagent.build.sources.registry import beside, remote_file, scheme_of
from dlagent.domain.artifact.request import BuildRequest, effective_format
from dlagent.domain.artifact.summary import FailureReason

SOURCE, EXTERNAL = "source", "external"  # the model's file, the folder of its external data

_ON_A_DISK = {Scheme.PVC, "file"}


@dataclass(frozen=True)
class Source:
    """The source's copy: the model file and the folder of its external data, if there are any.

    `sha256` is what an agent gives in spec.model.source: the file's digest, or the joint one of
    several (see `joint_digest`).
    """

    path: Path
    sha256: str
    size_bytes: int
    external: Path | None = None


def fetch_model(
    request: BuildRequest, access: Access, scratch: Path, cache: Downloads | None = None
) -> Source:
    """Copy the model, and the files that an ONNX model names beside it, to `scratch`.

    Raises:
        BuildError: InvalidPath, SourceUnavailable, SourceTooLarge, DigestMismatch, InvalidModel.
        OSError: `scratch` or the cache is full or fails.
    """
    wanted = Wanted(request.source_uri, request.source_sha256, request.max_source_bytes)
    target = scratch / SOURCE
    copied = _copied(wanted, access, target, cache)
    names = []
    if effective_format(request) == ModelFormat.ONNX:
        names = external_names.names(target)
    if not names:
        _check_digest(wanted, copied.sha256)
        _keep(wanted, copied, target, cache)
        return Source(target, copied.sha256, copied.size_bytes)
    folder = scratch / EXTERNAL
    folder.mkdir(exist_ok=True)
    others = _copy_beside(names, wanted, copied.size_bytes, access, folder)
    digest = joint_digest([copied.sha256, *(other.sha256 for other in others)])
    _check_digest(wanted, digest)
    size = copied.size_bytes + sum(other.size_bytes for other in others)
    return Source(target, digest, size, folder)


def fetch_file(
    wanted: Wanted, access: Access, target: Path, cache: Downloads | None = None
) -> Copied:
    """Copy one file to `target`. Where its digest is given and it is in the cache, from there.

    Raises as `fetch_model`, but for InvalidModel.
    """
    copied = _copied(wanted, access, target, cache)
    _check_digest(wanted, copied.sha256)
    _keep(wanted, copied, target, cache)
    return copied


def joint_digest(digests: list[str]) -> str:
    """Of several files, the model first and then its data files by name.

    What `sha256sum MODEL DATA... | cut -c -64 | sha256sum` prints: the SHA-256 of the files' own
    digests, one a line.
    """
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def _copy_beside(
    names: list[str], wanted: Wanted, taken_bytes: int, access: Access, folder: Path
) -> list[Copied]:
    """The files of these names in the model's folder; all together keep to the size limit."""
    copies: list[Copied] = []
    for name in names:
        uri = beside(wanted.uri, name)
        if uri is None:
            raise BuildError(
                FailureReason.INVALID_MODEL,
                f"the model's weights are in another file, {name!r}, and {wanted.uri} has none"
                " beside it; save the model as one file: onnx.save(onnx.load('model.onnx'),"
                " 'one.onnx'), or put both files on a volume or into a bucket",
            )
        left = wanted.max_bytes - taken_bytes - sum(copy.size_bytes for copy in copies)
        one = replace(wanted, uri=uri, sha256=None, max_bytes=left)
        try:
            copies.append(download(remote_file(one, access), folder / name, one))
        except BuildError as error:
            if error.reason is FailureReason.SOURCE_TOO_LARGE:
                raise too_large(wanted) from error
            raise
    return copies


def _copied(wanted: Wanted, access: Access, target: Path, cache: Downloads | None) -> Copied:
    if cache is not None and wanted.sha256 is not None:
        digest = wanted.sha256.lower()
        size = cache.take(digest, target)
        if size is not None:
            return Copied(digest, size)
    return download(remote_file(wanted, access), target, wanted)


def _keep(wanted: Wanted, copied: Copied, target: Path, cache: Downloads | None) -> None:
    if cache is not None and scheme_of(wanted.uri) not in _ON_A_DISK:
        cache.keep(copied.sha256, target)


def _check_digest(wanted: Wanted, found: str) -> None:
    if wanted.sha256 is not None and found != wanted.sha256.lower():
        raise BuildError(
            FailureReason.DIGEST_MISMATCH,
            f"{wanted.uri} has SHA-256 {found}, but {wanted.sha256} is asked for; set"
            f" {wanted.field}.sha256 to the first if the new content is wanted, or put the old"
            " content back",
        )
