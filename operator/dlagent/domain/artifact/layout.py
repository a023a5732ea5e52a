"""Where an artifact's files lie in the store, and the table of them in its manifest.

Used by the loader too, which must start at once: no import here but the standard library.
"""

import hashlib
import json
from dataclasses import dataclass

MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.json.sha256"  # of the manifest, as sha256sum writes it
REPORT = "report.json"
REPORT_PAGE = "report.html"
REPORT_PICTURE = "report.png"
MODEL = "model/"  # all below it is Triton's
CONFIG = MODEL + "config.pbtxt"
NETWORK = MODEL + "1/model.onnx"

_FILES = {REPORT, REPORT_PAGE, REPORT_PICTURE, CONFIG, NETWORK}

ARTIFACTS = "artifacts"
STAGING = "staging"
STALE_STAGING_SECONDS = 24 * 3600.0  # no build writes for so long: what is older, a dead one left


class ManifestError(ValueError):
    """A manifest that cannot be believed; the message says why."""


@dataclass(frozen=True)
class FileEntry:
    """What a file of an artifact must be."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class StoredArtifact:
    """What is under a key, whole or not.

    `used_at` (seconds since the epoch) is when a build last published or found it.
    """

    key: str
    used_at: float
    size_bytes: int


def artifact_path(key: str) -> str:
    """The folder of an artifact, relative to the store's root."""
    return f"{ARTIFACTS}/{key}"


def staging_path(key: str, random: str) -> str:
    """The folder in which an artifact is put together before it is published."""
    return f"{STAGING}/{key}.{random}"


def file_table(manifest: bytes, key: str) -> dict[str, FileEntry]:
    """The files that a manifest names, by their path in the artifact.

    Any relative file may be named, so long as all of them can be there at once.

    Raises:
        ManifestError: not a manifest, or one of another key, or of paths that leave the artifact.
    """
    try:
        content = json.loads(manifest)
        table = {
            str(path): FileEntry(str(entry["sha256"]), int(entry["sizeBytes"]))
            for path, entry in content["files"].items()
        }
        named = content["key"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{MANIFEST} cannot be read: {type(error).__name__}") from error
    if named != key:
        raise ManifestError(f"{MANIFEST} is that of another artifact")
    if NETWORK not in table or CONFIG not in table:
        raise ManifestError(f"{MANIFEST} names no model")
    for path in table:
        if not _is_inside(path):
            raise ManifestError(f"{MANIFEST} names a path outside of the artifact")
    folders = {path[:end] for path in table for end in _slashes(path)}
    if {MANIFEST, MANIFEST_DIGEST} & table.keys() or folders & table.keys():
        raise ManifestError(f"{MANIFEST} names a file that cannot be beside the others")
    return table


def is_of_an_artifact(path: str) -> bool:
    """Whether a build gives an artifact a file of this path that its manifest names."""
    return path in _FILES


def manifest_digest(manifest: bytes) -> bytes:
    """The content of MANIFEST_DIGEST."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def model_files(table: dict[str, FileEntry]) -> dict[str, FileEntry]:
    """The files that Triton reads, by their path in the artifact."""
    return {path: entry for path, entry in table.items() if path.startswith(MODEL)}


def _is_inside(path: str) -> bool:
    """A relative path of one spelling: no part is empty, `.` or `..`."""
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def _slashes(path: str) -> list[int]:
    return [place for place, character in enumerate(path) if character == "/"]
