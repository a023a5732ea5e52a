"""Where an artifact's files lie in the store, and the table of them in its manifest.

Used by the loader too, which must start at once: nothing is imported here but what imports only the
standard library.
"""

import hashlib
import json
from dataclasses import dataclass

from dlagent.domain.artifact.engine import Engine

MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.json.sha256"  # of the manifest, as sha256sum writes it
REPORT = "report.json"
REPORT_PAGE = "report.html"
REPORT_PICTURE = "report.png"
MODEL = "model/"  # all below it is Triton's
CONFIG = MODEL + "config.pbtxt"
# The network's file, in the folder of the version; an engine of TensorRT is called a plan.
NETWORK_FILES = {Engine.ONNX_RUNTIME: "model.onnx", Engine.TENSORRT: "model.plan"}
# With Python steps the model is an ensemble, and its members are models beside it. No agent can
# have a member's name: it is no DNS label.
PERCEIVE, DECIDE, ACT = "perceive_", "decide_", "act_"
MEMBERS = (PERCEIVE, DECIDE, ACT)
ENSEMBLE_NOTE = MODEL + "1/README"  # Triton wants a folder for the version, stores keep files only
SCRIPT_MODULE, SCRIPT = "1/model.py", "1/step.py"  # of the members around the network
_NETWORKS = frozenset(
    f"{folder}1/{file}" for folder in (MODEL, f"{DECIDE}/") for file in NETWORK_FILES.values()
)

_FILES = {
    *(REPORT, REPORT_PAGE, REPORT_PICTURE, CONFIG, ENSEMBLE_NOTE),
    *_NETWORKS,
    *(f"{member}/config.pbtxt" for member in MEMBERS),
    *(f"{member}/{file}" for member in (PERCEIVE, ACT) for file in (SCRIPT_MODULE, SCRIPT)),
}

ARTIFACTS = "artifacts"
STAGING = "staging"
DOWNLOADS = "downloads"  # what builds have fetched from the net
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


def network_path(engine: Engine, is_member: bool) -> str:
    """Where the network is in an artifact; as a member of an ensemble, or as the model itself."""
    folder = f"{DECIDE}/" if is_member else MODEL
    return f"{folder}1/{NETWORK_FILES[engine]}"


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
    if not _NETWORKS & table.keys() or CONFIG not in table:
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
    """The files of the model itself, by their path in the artifact."""
    return {path: entry for path, entry in table.items() if path.startswith(MODEL)}


def member_files(table: dict[str, FileEntry]) -> dict[str, dict[str, FileEntry]]:
    """The files of each member of an ensemble, by the member's name; none without an ensemble."""
    files = {
        member: {path: entry for path, entry in table.items() if path.startswith(f"{member}/")}
        for member in MEMBERS
    }
    return {member: its for member, its in files.items() if its}


def is_served(path: str) -> bool:
    """Whether Triton reads this file of an artifact."""
    return path.startswith((MODEL, *(f"{member}/" for member in MEMBERS)))


def _is_inside(path: str) -> bool:
    """A relative path of one spelling: no part is empty, `.` or `..`."""
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))


def _slashes(path: str) -> list[int]:
    return [place for place, character in enumerate(path) if character == "/"]
