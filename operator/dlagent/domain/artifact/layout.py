"""Where an artifact's files lie in the store, and the table of them in its manifest.

Used by the loader too, which must start at once: no import here but the standard library.
"""

import json
from dataclasses import dataclass

MANIFEST = "manifest.json"
REPORT = "report.json"
CONFIG = "model/config.pbtxt"
NETWORK = "model/1/model.onnx"

ARTIFACTS = "artifacts"
STAGING = "staging"


class ManifestError(ValueError):
    """A manifest that cannot be believed; the message says why."""


@dataclass(frozen=True)
class FileEntry:
    """What a file of an artifact must be."""

    sha256: str
    size_bytes: int


def artifact_path(key: str) -> str:
    """The folder of an artifact, relative to the store's root."""
    return f"{ARTIFACTS}/{key}"


def staging_path(key: str, random: str) -> str:
    """The folder in which an artifact is put together before it is published."""
    return f"{STAGING}/{key}.{random}"


def file_table(manifest: bytes, key: str) -> dict[str, FileEntry]:
    """The files that a manifest names, by their path in the artifact.

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
        if path.startswith("/") or ".." in path.split("/"):
            raise ManifestError(f"{MANIFEST} names a path outside of the artifact")
    return table
