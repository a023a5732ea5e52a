"""What the containers of a build hand on to each other, in folders that they share.

`fetch` fills one that the others can only read; `build`, where files are read that are not trusted,
fills another one, which `publish` believes nothing of before it has looked at all that is there.
Called by dlagent.build.containers.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from dlagent.adapters.store import ArtifactCorruptError, FolderStore
from dlagent.api.types import ApiModel
from dlagent.build.failure import BuildError
from dlagent.build.fetch import EXTERNAL, SOURCE, Source
from dlagent.build.gather import Gathered, beside_paths
from dlagent.build.repository import code
from dlagent.domain.artifact.layout import (
    ARTIFACTS,
    MANIFEST,
    MANIFEST_DIGEST,
    STAGING,
    artifact_path,
    is_of_an_artifact,
)
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import BuildRequest, artifact_key, key_inputs
from dlagent.domain.artifact.summary import FailureReason, Summary

_NOTE = "fetched.json"


@dataclass(frozen=True)
class Fetched:
    """What was fetched, and how long the stages so far took, in seconds."""

    gathered: Gathered
    stage_seconds: Mapping[str, float]


class _Note(ApiModel):
    source_sha256: str
    size_bytes: int
    has_external: bool
    known: Summary | None = None
    stage_seconds: dict[str, float] = Field(default_factory=dict)


def write_fetched(folder: Path, fetched: Fetched) -> None:
    """Note what is in the folder, last of all: without the note nothing was fetched."""
    source = fetched.gathered.source
    note = _Note(
        source_sha256=source.sha256,
        size_bytes=source.size_bytes,
        has_external=source.external is not None,
        known=fetched.gathered.known,
        stage_seconds=dict(fetched.stage_seconds),
    )
    unfinished = folder / f".{_NOTE}"
    unfinished.write_text(note.model_dump_json(by_alias=True))
    unfinished.replace(folder / _NOTE)


def read_fetched(folder: Path, request: BuildRequest) -> Fetched:
    """Raises OSError where nothing was fetched."""
    note = _Note.model_validate_json((folder / _NOTE).read_text())
    external = folder / EXTERNAL if note.has_external else None
    source = Source(folder / SOURCE, note.source_sha256, note.size_bytes, external)
    gathered = Gathered(source, beside_paths(request, folder), note.known)
    return Fetched(gathered, note.stage_seconds)


def write_output(folder: Path, key: str, files: Mapping[str, bytes]) -> None:
    """Put an artifact's files into the folder. Raises OSError."""
    FolderStore(folder).publish(key, files)


def read_output(folder: Path, request: BuildRequest, source_sha256: str) -> dict[str, bytes]:
    """The files of the artifact that was asked for, and nothing else that may be in the folder.

    Raises:
        BuildError: Internal: it is not whole, of another key, or there is more than an artifact.
        OSError: the folder cannot be read.
    """
    key = artifact_key(request, source_sha256)
    try:
        _check_tree(folder, key)
        output = FolderStore(folder)
        content = output.manifest(key)
        files = {
            path: b"".join(output.verified_chunks(key, path, entry))
            for path, entry in output.table(key).items()
        }
    except ArtifactCorruptError as error:
        raise _refused(str(error)) from error
    _check_manifest(content, request, source_sha256)
    if code(request.scripts) != {path: data for path, data in files.items() if _is_code(path)}:
        raise _refused("its code is not that of the Python steps")
    return files | {MANIFEST: content}


def _check_tree(folder: Path, key: str) -> None:
    """There is nothing but the artifact's folder, and in it regular files of known names.

    Who filled the folder has ended, so what is looked at here is what is read afterwards.
    """
    top = folder / artifact_path(key)
    for path, mode in _entries(folder):
        inside = path.relative_to(top).as_posix() if path.is_relative_to(top) else None
        name = path.relative_to(folder).as_posix()
        if stat.S_ISDIR(mode):
            expected = inside is not None or name in (ARTIFACTS, STAGING)
        else:
            expected = stat.S_ISREG(mode) and inside is not None and _may_be_there(inside)
        if not expected:
            raise _refused(f"{(inside or name)[:80]!r} is no file of an artifact of this key")
    if not top.exists():
        raise _refused("there is no artifact of this key")


def _may_be_there(path: str) -> bool:
    return path in (MANIFEST, MANIFEST_DIGEST) or is_of_an_artifact(path)


def _is_code(path: str) -> bool:
    return path.endswith(".py")


def _entries(folder: Path) -> Iterator[tuple[Path, int]]:
    """All that is below a folder, and the mode of each; no link is followed."""
    left = [folder]
    while left:
        with os.scandir(left.pop()) as found:
            for entry in found:
                mode = entry.stat(follow_symlinks=False).st_mode
                yield Path(entry.path), mode
                if stat.S_ISDIR(mode):
                    left.append(Path(entry.path))


def _check_manifest(content: bytes, request: BuildRequest, source_sha256: str) -> None:
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _refused(f"{MANIFEST} cannot be read ({error.error_count()} errors)") from error
    if manifest.key_inputs != key_inputs(request, source_sha256):
        raise _refused(f"{MANIFEST} gives other inputs than those of the key")
    strangers = [path for path in manifest.files if not is_of_an_artifact(path)]
    if strangers:
        raise _refused(f"{MANIFEST} names {strangers[0][:80]!r}, which no artifact has")
    if not manifest.tau:
        raise _refused(f"{MANIFEST} does not say how long batches take")


def _refused(why: str) -> BuildError:
    return BuildError(
        FailureReason.INTERNAL,
        f"what the build handed over is not published: {why}; its process was disturbed, or the"
        " model was made to take it over",
    )
